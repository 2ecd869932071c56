// config.egress_allow of a project is a hole in its workers' wall, a repository elsewhere one in its owner's: who may
// make one.
#include "services/api/api_fixture.hpp"

namespace codegen::api {
namespace {

class ProjectEgressTest : public ApiFixture {
  protected:
    static std::string with(boost::json::value egress) {
        return boost::json::serialize(
            boost::json::object{{"name", "shop"}, {"config", {{"egress_allow", std::move(egress)}, {"other", 1}}}});
    }
};

TEST_F(ProjectEgressTest, OnlyAnAdminOpensIt) {
    const auto owner = user_token(make_user(100));
    const auto project = make_project(owner);
    const auto path = "/api/projects/" + project;
    const auto task = make_task(owner, project);
    const auto open = with({"registry.npmjs.org:443"});
    EXPECT_EQ(send("POST", "/api/projects", owner, open).status, 403u);
    EXPECT_EQ(send("PATCH", path, owner, open).status, 403u);
    EXPECT_EQ(send("PUT", path, owner, open).status, 403u);
    EXPECT_EQ(send("POST", "/api/projects", worker_token(task, {"*"}), open).status, 403u);
    EXPECT_EQ(send("POST", "/api/projects", control_, open, {{"X-Telegram-ID", "100"}}).status, 403u);
    EXPECT_EQ(must(200, send("GET", path, owner)).at("config").as_object().size(), 0u);

    must(200, admin("PATCH", path, open));
    EXPECT_EQ(send("PATCH", path, owner, open).status, 200u) << "the same list is no change";
    EXPECT_EQ(send("PATCH", path, owner, with({"registry.npmjs.org:443", "*:443"})).status, 403u);
    EXPECT_EQ(must(200, send("GET", path, owner)).at("config").at("egress_allow").as_array().size(), 1u);
    EXPECT_EQ(send("PATCH", path, owner, R"({"config": {}})").status, 200u) << "anybody may close it";
    EXPECT_EQ(send("PATCH", path, owner, open).status, 403u);
    EXPECT_EQ(send("PATCH", "/api/projects/" + new_uuid(), owner, open).status, 404u);
}

TEST_F(ProjectEgressTest, OnlyAnAdminNamesARepositoryThatIsNotTheProjectsOwn) {
    const auto owner = user_token(make_user(100));
    const auto path = "/api/projects/" + make_project(owner);
    const std::string there = R"({"name": "shop", "repository_url": "https://github.com/acme/secret"})";
    EXPECT_EQ(send("POST", "/api/projects", owner, there).status, 403u);
    EXPECT_EQ(send("PATCH", path, owner, there).status, 403u);
    EXPECT_EQ(send("PUT", path, owner, there).status, 403u);
    must(200, admin("PATCH", path, there));
    EXPECT_EQ(send("PATCH", path, owner, there).status, 200u) << "the same is no change";
    EXPECT_EQ(send("PATCH", path, owner, R"({"description": "x"})").status, 200u);
    EXPECT_EQ(send("PATCH", path, owner, R"({"repository_url": "ssh://git@github.com/acme/secret"})").status, 403u);
    EXPECT_EQ(send("PATCH", path, owner, R"({"repository_url": null})").status, 200u) << "anybody may leave it";
    // Another project's, on this machine.
    const auto at = [](const std::string& id) {
        return R"({"repository_url": "/state/repositories/)" + id + R"(.git"})";
    };
    const auto other = make_project(user_token(make_user(101)));
    EXPECT_EQ(send("PATCH", path, owner, at(other)).status, 403u);
    EXPECT_EQ(send("PATCH", path, owner, R"({"repository_url": "file:///state/repositories/x.git"})").status, 403u);
    // What looks like its own may lie anywhere; the control plane says where its own is.
    const auto id = path.substr(path.rfind('/') + 1);
    for (const auto* folder : {"/state/repositories/", "/etc/", "/proc/self/root/home/"})
        EXPECT_EQ(send("PATCH", path, owner, R"({"repository_url": ")" + (folder + id) + R"(.git"})").status, 403u);
    const auto own = at(id);
    must(200, send("PATCH", path, control_, own));
    EXPECT_EQ(send("PATCH", path, owner, own).status, 200u) << "as it is";
}

// The control plane would fetch it: from a host that the worker may not reach, with whatever the URL tells that host.
TEST_F(ProjectEgressTest, AnAgentNamesNoTemplateFromElsewhere) {
    const auto owner = user_token(make_user(100));
    const auto worker = worker_token(make_task(owner, make_project(owner)), {"*"});
    const auto with_template = [](const char* name) {
        return boost::json::serialize(boost::json::object{{"name", "shop"}, {"config", {{"template", name}}}});
    };
    for (const auto* name : {"https://example.org/t", "git@example.org:o/t", "/srv/t"})
        EXPECT_EQ(send("POST", "/api/projects", worker, with_template(name)).status, 403u) << name;
    EXPECT_EQ(send("POST", "/api/projects", worker, with_template("standard")).status, 201u);
    EXPECT_EQ(send("POST", "/api/projects", owner, with_template("https://example.org/t")).status, 201u);
}

TEST_F(ProjectEgressTest, WhatIsNoListOfPatternsIsNamed) {
    for (const auto& [egress, path] : std::vector<std::pair<boost::json::value, std::string>>{
             {"example.org:443", "config.egress_allow"},
             {{"example.org"}, "config.egress_allow[0]"},
             {{"example.org:443", 7}, "config.egress_allow[1]"},
             {{"a:1,b:2"}, "config.egress_allow[0]"},
             {{std::string(400, 'x') + ":443"}, "config.egress_allow[0]"},
             {boost::json::array(201, boost::json::value("a:1")), "config.egress_allow"}}) {
        const auto refused = must(422, admin("POST", "/api/projects", with(egress)));
        EXPECT_EQ(text(refused.at("errors").at(0), "path"), path);
    }
}

}  // namespace
}  // namespace codegen::api
