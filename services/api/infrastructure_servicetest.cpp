// Servers, ports, incidents, services, settings and keys: what is stored, answered and refused.
#include "services/api/api_fixture.hpp"

namespace codegen::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = boost::json::object;

class InfrastructureTest : public ApiFixture {
  protected:
    static std::string body(const Json& object) { return boost::json::serialize(object); }
    boost::json::value made(const std::string& target, const Json& object) {
        return must(201, admin("POST", target, body(object)));
    }
    boost::json::value make_server(const std::string& handle) {
        return made("/api/servers", {{"handle", handle}, {"host", handle + ".test"}, {"public_ip", "203.0.113.1"}});
    }
    std::size_t count(const std::string& target) { return must(200, admin("GET", target)).as_array().size(); }
    std::vector<std::string> paths(const http::Response& response) {
        std::vector<std::string> found;
        const auto problem = must(422, response);
        if (const auto* errors = problem.as_object().if_contains("errors"))
            for (const auto& error : errors->as_array()) found.push_back(text(error, "path"));
        return found;
    }
    static std::string id_of(const boost::json::value& object) { return std::to_string(object.at("id").as_int64()); }
};

TEST_F(InfrastructureTest, AServerIsMadeReadChangedAndItsKeyNeverReturned) {
    const Json full{{"handle", "vps-1"},
                    {"host", "vps1.test"},
                    {"public_ip", "203.0.113.1"},
                    {"ssh_user", "deploy"},
                    {"ssh_key_enc", "-----BEGIN KEY----- very-private"},
                    {"capacity_cpu", 4},
                    {"capacity_ram_mb", 8192},
                    {"capacity_disk_mb", 160000},
                    {"used_ram_mb", 1},
                    {"used_disk_mb", 2},
                    {"os_template", "debian-12"},
                    {"is_managed", true},
                    {"status", "new"},
                    {"notes", "spare"},
                    {"labels", Json{{"zone", "eu"}}}};
    const auto server = made("/api/servers", full);
    EXPECT_EQ(text(server, "status"), "pending_setup");  // the older spelling
    EXPECT_EQ(server.at("labels"), full.at("labels"));
    EXPECT_EQ(server.at("provisioning_attempts").as_int64(), 0);
    EXPECT_FALSE(server.as_object().contains("ssh_key_enc"));
    EXPECT_EQ(must(200, admin("POST", "/api/servers", body(full))), server);  // the same again
    auto other_key = full;
    other_key["ssh_key_enc"] = "another";
    EXPECT_EQ(admin("POST", "/api/servers", body(other_key)).status, 409u);
    EXPECT_EQ(must(200, admin("GET", "/api/servers/vps-1/")), server);

    const auto changed = must(200, admin("PATCH", "/api/servers/vps-1", R"({"status": "active", "notes": null,
        "last_health_check": "2026-01-10T12:00:00Z", "ssh_key_enc": "also-private"})"));
    EXPECT_EQ(text(changed, "status"), "in_use");
    EXPECT_FALSE(changed.as_object().contains("notes"));
    EXPECT_TRUE(changed.as_object().contains("last_health_check"));
    EXPECT_THAT(paths(admin("PATCH", "/api/servers/vps-1", R"({"status": null, "capacity_cpu": -1})")),
                ElementsAre("capacity_cpu", "status"));
    EXPECT_THAT(paths(admin("POST", "/api/servers", R"({"handle": "a/b", "host": "", "public_ip": "x"})")),
                ElementsAre("handle", "host"));
    EXPECT_EQ(admin("PATCH", "/api/servers/vps-9", "{}").status, 404u);
    EXPECT_EQ(admin("GET", "/api/servers/vps-9").status, 404u);

    make_server("vps-2");
    EXPECT_EQ(count("/api/servers"), 2u);
    EXPECT_EQ(count("/api/servers?is_managed=true"), 1u);
    EXPECT_EQ(count("/api/servers?status=active"), 1u);
    EXPECT_EQ(count("/api/servers?status=discovered&is_managed=0"), 1u);
    EXPECT_THAT(paths(admin("GET", "/api/servers?is_managed=perhaps")), ElementsAre("is_managed"));
    EXPECT_THAT(paths(admin("GET", "/api/servers?status=odd")), ElementsAre("status"));

    EXPECT_EQ(text(must(200, admin("POST", "/api/servers/vps-2/force-rebuild")), "status"), "force_rebuild");
    EXPECT_EQ(text(must(200, admin("POST", "/api/servers/vps-2/provision")), "status"), "pending_setup");
    EXPECT_EQ(admin("POST", "/api/servers/vps-9/provision").status, 404u);
    stop();
    for (const auto* secret : {"very-private", "also-private"}) EXPECT_FALSE(store_.holds(secret));
    start();
}

TEST_F(InfrastructureTest, OnlyInfraServiceReadsKeysThatOpenServers) {
    const auto infra = read("infra.token");
    made("/api/servers", {{"handle", "vps-1"},
                          {"host", "vps1.test"},
                          {"public_ip", "203.0.113.1"},
                          {"ssh_key_enc", "-----BEGIN KEY----- very-private"}});
    make_server("vps-2");
    const auto target = "/api/servers/vps-1/ssh-key";
    const auto answer = send("GET", target, infra);
    EXPECT_EQ(text(must(200, answer), "private_key"), "-----BEGIN KEY----- very-private");
    EXPECT_EQ(answer.headers.get("Cache-Control"), "no-store");
    EXPECT_THAT(send("GET", "/api/servers/vps-2/ssh-key", infra).body, HasSubstr("has no private key"));
    EXPECT_EQ(send("GET", "/api/servers/vps-9/ssh-key", infra).status, 404u);
    made("/api/api-keys", {{"service", "infra-ssh"}, {"value", "ours"}, {"type", "system"}});
    EXPECT_EQ(text(must(200, send("GET", "/api/api-keys/infra-ssh", infra)), "value"), "ours");

    // The roles' token, an admin's, a service that acts for somebody, one with other actions.
    const auto user = make_user(77);
    const auto bound = make_token({{"kind", "service"}, {"actions", {"infra.servers"}}});
    for (const auto* place : {target, "/api/api-keys/infra-ssh"}) {
        for (const auto& token : {control_, admin_, user_token(user), bound}) {
            const auto refused = send("GET", place, token);
            EXPECT_EQ(refused.status, 403u) << refused.body;
            EXPECT_THAT(refused.body, Not(HasSubstr("private-")));
        }
        EXPECT_EQ(send("GET", place, infra, {}, {{"X-Telegram-ID", "77"}}).status, 403u);
    }
    // It does what every service does.
    EXPECT_EQ(send("PATCH", "/api/servers/vps-1", infra, R"({"status": "ready"})").status, 200u);
    EXPECT_EQ(send("PATCH", "/api/servers/vps-1", infra, R"({"ssh_key_enc": null})").status, 200u);
    EXPECT_EQ(send("GET", target, infra).status, 404u);
}

// It becomes a line of known_hosts: a second line would be another server's.
TEST_F(InfrastructureTest, AHostKeyIsOneLine) {
    make_server("vps-1");
    const std::string good = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 root@vps";
    for (const boost::json::value& key :
         {boost::json::value("a\nb"), boost::json::value(good + "\nvps-2 " + good), boost::json::value(good + "\r"),
          boost::json::value("ssh-ed25519"), boost::json::value("ssh-ed25519 ../x"), boost::json::value(""),
          boost::json::value("* ssh-ed25519 AAAA"), boost::json::value(7), boost::json::value(nullptr)}) {
        const auto labels = boost::json::serialize(boost::json::object{{"labels", {{"ssh_host_key", key}}}});
        const auto refused = admin("PATCH", "/api/servers/vps-1", labels);
        EXPECT_EQ(refused.status, 422u) << labels;
        EXPECT_THAT(refused.body, HasSubstr("labels.ssh_host_key"));
    }
    const auto made = admin("POST", "/api/servers", R"({"handle": "vps-2", "host": "h", "public_ip": "203.0.113.2",
        "labels": {"ssh_host_key": "a\nb"}})");
    EXPECT_EQ(made.status, 422u) << made.body;
    const auto labels =
        boost::json::serialize(boost::json::object{{"labels", {{"ssh_host_key", good}, {"zone", "eu"}}}});
    EXPECT_EQ(admin("PATCH", "/api/servers/vps-1", labels).status, 200u);
}

TEST_F(InfrastructureTest, NobodyElseMakesATokenThatReadsThem) {
    made("/api/api-keys", {{"service", "infra-ssh"}, {"value", "ours"}, {"type", "system"}});
    const auto asked = [](const char* kind, boost::json::array actions) {
        return boost::json::serialize(boost::json::object{{"kind", kind}, {"actions", std::move(actions)}});
    };
    make_user(78, true);
    for (const auto* pattern : {"*", "infra.*", "infra.secrets"}) {
        for (const auto& token : {admin_, control_}) {
            const auto refused = send("POST", "/api/tokens", token, asked("service", {"project.get", pattern}));
            EXPECT_EQ(refused.status, 403u) << pattern << refused.body;
            EXPECT_THAT(refused.body, HasSubstr("infra.secrets"));
        }
        const auto acting =
            send("POST", "/api/tokens", control_, asked("service", {pattern}), {{"X-Telegram-ID", "78"}});
        EXPECT_EQ(acting.status, 403u) << pattern << acting.body;
        // An admin's and a worker's token read no key, whatever they name.
        const auto other = make_token({{"kind", "admin"}, {"actions", {pattern}}});
        EXPECT_EQ(send("GET", "/api/api-keys/infra-ssh", other).status, 403u);
    }
    EXPECT_EQ(send("POST", "/api/tokens", admin_, asked("service", {"infra.servers"})).status, 201u);
    EXPECT_EQ(send("POST", "/api/tokens", admin_, asked("service", {})).status, 201u);
    // infra-service makes one for a copy of itself.
    const auto copy = must(201, send("POST", "/api/tokens", read("infra.token"), asked("service", {"*"})));
    EXPECT_EQ(text(must(200, send("GET", "/api/api-keys/infra-ssh", text(copy, "secret"))), "value"), "ours");
}

TEST_F(InfrastructureTest, ServersComeInPages) {
    for (int i = 0; i < 5; ++i) make_server("vps-" + std::to_string(i));
    std::string target = "/api/servers?limit=2";
    std::vector<std::string> seen;
    while (!target.empty()) {
        const auto response = admin("GET", target);
        for (const auto& server : must(200, response).as_array()) seen.push_back(text(server, "handle"));
        const auto link = response.headers.get("Link");
        target = link ? std::string(link->substr(1, link->find('>') - 1)) : "";
    }
    EXPECT_THAT(seen, ElementsAre("vps-0", "vps-1", "vps-2", "vps-3", "vps-4"));
}

TEST_F(InfrastructureTest, APortIsTakenOnce) {
    make_server("vps-1");
    make_server("vps-2");
    const auto project = make_project(admin_);
    const Json request{{"port", 8080}, {"service_name", "web"}, {"project_id", project}};
    const auto allocation = made("/api/servers/vps-1/ports", request);
    EXPECT_EQ(text(allocation, "server_handle"), "vps-1");
    EXPECT_EQ(must(200, admin("POST", "/api/servers/vps-1/ports", body(request))), allocation);
    auto other = request;
    other["service_name"] = "api";
    const auto taken = admin("POST", "/api/servers/vps-1/ports", body(other));
    EXPECT_EQ(taken.status, 409u);
    EXPECT_THAT(taken.body, HasSubstr("port"));
    made("/api/servers/vps-2/ports", other);  // another server's
    EXPECT_EQ(admin("POST", "/api/servers/vps-9/ports", body(request)).status, 404u);
    other["port"] = 0;
    EXPECT_THAT(paths(admin("POST", "/api/servers/vps-1/ports", body(other))), ElementsAre("port"));
    other["port"] = 9000;
    other["project_id"] = new_uuid();
    EXPECT_THAT(paths(admin("POST", "/api/servers/vps-1/ports", body(other))), ElementsAre("project_id"));

    EXPECT_EQ(count("/api/servers/vps-1/ports"), 1u);
    EXPECT_EQ(count("/api/allocations"), 2u);
    EXPECT_EQ(count("/api/allocations?server_handle=vps-2"), 1u);
    EXPECT_EQ(count("/api/allocations?project_id=" + project), 2u);
    const auto id = id_of(allocation);
    EXPECT_EQ(must(200, admin("GET", "/api/allocations/" + id)), allocation);
    must(204, admin("DELETE", "/api/allocations/" + id));
    EXPECT_EQ(admin("DELETE", "/api/allocations/" + id).status, 404u);
    EXPECT_EQ(admin("GET", "/api/allocations/x").status, 404u);
    must(204, admin("DELETE", "/api/projects/" + project));  // a port outlives its project
    EXPECT_FALSE(must(200, admin("GET", "/api/allocations")).at(0).as_object().contains("project_id"));
}

TEST_F(InfrastructureTest, IncidentsAreActiveUntilTheyEnd) {
    make_server("vps-1");
    const auto incident = made("/api/incidents", {{"server_handle", "vps-1"},
                                                  {"incident_type", "service_down"},
                                                  {"title", "down"},
                                                  {"details", Json{{"probe", "tcp"}}},
                                                  {"affected_services", {"web", "api"}}});
    EXPECT_EQ(text(incident, "severity"), "medium");
    EXPECT_EQ(text(incident, "status"), "detected");
    EXPECT_EQ(incident.at("affected_services"), (boost::json::array{"web", "api"}));
    EXPECT_TRUE(parse_timestamp(text(incident, "detected_at")));
    const auto target = "/api/incidents/" + id_of(incident);
    EXPECT_EQ(must(200, admin("GET", target)), incident);
    EXPECT_EQ(count("/api/incidents/active"), 1u);
    EXPECT_EQ(text(must(200, admin("PATCH", target, R"({"status": "recovering", "recovery_attempts": 2})")), "status"),
              "recovering");
    EXPECT_EQ(count("/api/incidents/active?server_handle=vps-1"), 1u);
    const auto resolved = must(200, admin("PATCH", target, R"({"status": "resolved"})"));
    EXPECT_TRUE(resolved.as_object().contains("resolved_at"));
    EXPECT_EQ(resolved.at("recovery_attempts").as_int64(), 2);
    EXPECT_EQ(count("/api/incidents/active"), 0u);
    EXPECT_EQ(count("/api/incidents?status=resolved&server_handle=vps-1"), 1u);
    EXPECT_EQ(count("/api/servers/vps-1/incidents"), 1u);
    EXPECT_EQ(admin("GET", "/api/servers/vps-9/incidents").status, 404u);
    EXPECT_THAT(
        paths(admin("POST", "/api/incidents", R"({"server_handle": "vps-9", "incident_type": "service_down"})")),
        ElementsAre("server_handle"));
    EXPECT_THAT(paths(admin("PATCH", target, R"({"severity": "odd", "details": null})")),
                ::testing::Contains("severity"));
    EXPECT_EQ(admin("GET", "/api/incidents/99").status, 404u);
}

TEST_F(InfrastructureTest, AServiceDeploymentBelongsToProjectAndServer) {
    make_server("vps-1");
    const auto project = make_project(admin_);
    const Json request{{"project_id", project}, {"service_name", "web"}, {"server_handle", "vps-1"}, {"port", 8080}};
    const auto deployment = made("/api/service_deployments/", request);
    EXPECT_EQ(text(deployment, "status"), "pending");
    const auto target = "/api/service-deployments/" + id_of(deployment);
    EXPECT_EQ(must(200, admin("GET", target)), deployment);
    const auto running =
        must(200, admin("PATCH", target, R"({"status": "running", "url": "https://web.test", "port": 8081})"));
    EXPECT_EQ(text(running, "url"), "https://web.test");
    EXPECT_EQ(count("/api/service-deployments?status=running&project_id=" + project), 1u);
    EXPECT_EQ(count("/api/service-deployments?server_handle=vps-9"), 0u);
    EXPECT_EQ(count("/api/servers/vps-1/services"), 1u);
    auto broken = request;
    broken["project_id"] = new_uuid();
    EXPECT_THAT(paths(admin("POST", "/api/service-deployments", body(broken))), ElementsAre("project_id"));
    broken = request;
    broken["server_handle"] = "vps-9";
    EXPECT_THAT(paths(admin("POST", "/api/service-deployments", body(broken))), ElementsAre("server_handle"));
    EXPECT_THAT(paths(admin("PATCH", target, R"({"server_handle": "vps-9"})")), ElementsAre("server_handle"));
    const auto held = admin("DELETE", "/api/projects/" + project);
    EXPECT_EQ(held.status, 409u);
    EXPECT_THAT(held.body, HasSubstr("service-deployments"));
    must(204, admin("DELETE", target));
    must(204, admin("DELETE", "/api/projects/" + project));
}

TEST_F(InfrastructureTest, TheVersionOfAConfigIsRaisedByAChangeOnly) {
    for (const auto& [target, request] : std::vector<std::pair<std::string, Json>>{
             {"/api/agent-configs",
              {{"id", "developer"},
               {"name", "Dev"},
               {"type", "CLAUDE"},
               {"model", "m"},
               {"system_prompt", "Be good."}}},
             {"/api/cli-agent-configs",
              {{"id", "developer"}, {"name", "Dev"}, {"provider", "p"}, {"prompt_template", "Do it."}}}}) {
        const auto config = made(target, request);
        EXPECT_EQ(config.at("version").as_int64(), 1);
        EXPECT_TRUE(config.at("is_active").as_bool());
        EXPECT_EQ(must(200, admin("POST", target, body(request))), config);
        auto other = request;
        other["name"] = "Other";
        EXPECT_EQ(admin("POST", target, body(other)).status, 409u);
        const auto version = [&](const std::string& change) {
            return must(200, admin("PATCH", target + "/developer", change)).at("version").as_int64();
        };
        EXPECT_EQ(version(R"({"name": "Dev"})"), 1);
        EXPECT_EQ(version("{}"), 1);
        EXPECT_EQ(version(R"({"name": "New", "is_active": false})"), 2);
        EXPECT_EQ(version(R"({"name": "New"})"), 2);
        EXPECT_EQ(version(R"({"is_active": true})"), 3);
        EXPECT_THAT(paths(admin("PATCH", target + "/developer", R"({"name": null})")), ElementsAre("name"));
        EXPECT_EQ(count(target), 1u);
        EXPECT_EQ(must(200, admin("GET", target + "/developer")).at("name"), "New");
        must(204, admin("DELETE", target + "/developer"));
        EXPECT_EQ(admin("GET", target + "/developer").status, 404u);
        EXPECT_EQ(admin("PATCH", target + "/developer", "{}").status, 404u);
    }
    EXPECT_EQ(must(201, admin("POST", "/api/cli_agent_configs",
                              R"({"id": "x", "name": "n", "provider": "p", "prompt_template": ""})"))
                  .at("timeout_seconds")
                  .as_int64(),
              600);
    EXPECT_THAT(
        paths(admin("POST", "/api/cli-agent-configs",
                    R"({"id": "", "name": "n", "provider": "p", "prompt_template": "", "timeout_seconds": 0})")),
        ElementsAre("id", "timeout_seconds"));
}

TEST_F(InfrastructureTest, ResourcesAreFoundByTypeAndHandle) {
    const Json request{{"handle", "bot"}, {"resource_type", "telegram_bot"}, {"name", "Shop bot"}};
    const auto resource = made("/api/resources", request);
    EXPECT_EQ(resource.at("metadata"), Json());
    EXPECT_EQ(must(200, admin("POST", "/api/resources", body(request))), resource);
    EXPECT_EQ(must(200, admin("GET", "/api/resources/bot")), resource);
    EXPECT_EQ(count("/api/resources?resource_type=telegram_bot"), 1u);
    EXPECT_EQ(count("/api/resources?resource_type=domain"), 0u);
    EXPECT_EQ(admin("GET", "/api/resources/none").status, 404u);
    EXPECT_THAT(paths(admin("POST", "/api/resources", R"({"handle": "a b", "resource_type": "", "name": "n"})")),
                ElementsAre("handle", "resource_type"));
}

TEST_F(InfrastructureTest, AKeyIsReadByServicesAndStandsEncrypted) {
    const auto project = make_project(admin_);
    ::testing::internal::CaptureStderr();
    const auto system = made("/api/api_keys", {{"service", "github"}, {"value", "ghp_first"}, {"type", "system"}});
    made("/api/api-keys", {{"service", "github"}, {"value", "ghp_mine"}, {"type", "project"}, {"project_id", project}});
    const auto replaced =
        must(200, admin("POST", "/api/api-keys", R"({"service": "github", "value": "ghp_second", "type": "system"})"));
    EXPECT_EQ(replaced, system);
    for (const auto* field : {"value", "key_enc"}) EXPECT_FALSE(system.as_object().contains(field));

    const auto read = send("GET", "/api/api-keys/github", control_);
    EXPECT_EQ(text(must(200, read), "value"), "ghp_second");
    EXPECT_EQ(read.headers.get("Cache-Control"), "no-store");
    const auto mine = must(200, send("GET", "/api/api-keys/github?project_id=" + project, control_));
    EXPECT_EQ(text(mine, "value"), "ghp_mine");
    EXPECT_EQ(text(mine, "type"), "project");
    EXPECT_EQ(admin("GET", "/api/api-keys/github").status, 403u);
    EXPECT_EQ(send("GET", "/api/api-keys/other", control_).status, 404u);
    EXPECT_EQ(admin("GET", "/api/api-keys").status, 405u);  // never listed

    EXPECT_THAT(paths(admin("POST", "/api/api-keys", R"({"service": "a b", "value": "", "type": "project"})")),
                ElementsAre("service", "value"));
    EXPECT_THAT(paths(admin("POST", "/api/api-keys", R"({"service": "a", "value": "v", "type": "project"})")),
                ElementsAre("project_id"));
    EXPECT_THAT(paths(admin("POST", "/api/api-keys",
                            body({{"service", "x"}, {"value", "v"}, {"type", "project"}, {"project_id", new_uuid()}}))),
                ElementsAre("project_id"));
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), Not(HasSubstr("ghp_")));
    stop();
    for (const auto* secret : {"ghp_first", "ghp_second", "ghp_mine"}) EXPECT_FALSE(store_.holds(secret)) << secret;
    start();
    EXPECT_EQ(text(must(200, send("GET", "/api/api-keys/github", control_)), "value"), "ghp_second");

    must(204, admin("DELETE", "/api/api-keys/github"));
    EXPECT_EQ(admin("DELETE", "/api/api-keys/github").status, 404u);
    must(204, admin("DELETE", "/api/projects/" + project));  // takes its key with it
    EXPECT_EQ(send("GET", "/api/api-keys/github?project_id=" + project, control_).status, 404u);
}

TEST_F(InfrastructureTest, AKeyMovedToAnotherRowDoesNotOpen) {
    for (const auto* service : {"github", "gitlab"})
        made("/api/api-keys", {{"service", service}, {"value", "v"}, {"type", "system"}});
    auto moved = testing::run(
        io_, database_->query("UPDATE api_keys SET key_enc = (SELECT key_enc FROM api_keys WHERE service = 'gitlab')"));
    ASSERT_TRUE(moved);
    EXPECT_EQ(send("GET", "/api/api-keys/gitlab", control_).status, 200u);
    const auto refused = send("GET", "/api/api-keys/github", control_);
    EXPECT_EQ(refused.status, 503u);
    EXPECT_THAT(refused.body, HasSubstr("log of the api"));
}

}  // namespace
}  // namespace codegen::api
