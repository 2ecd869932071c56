// The role: messages in, results out, with a real Redis.
#include "services/scaffolder/github_host.hpp"
#include "services/scaffolder/scaffolder_fixture.hpp"
#include "services/scaffolder/service.hpp"
#include "shared/async/scope.hpp"
#include "shared/testing/github/client_options.hpp"
#include "shared/testing/temp_redis.hpp"

namespace codegen::scaffolder::testing {
namespace {

class ScaffolderService : public ScaffolderTest {
  protected:
    void start(std::unique_ptr<RepositoryHost> host = nullptr) {
        if (!host) host = std::make_unique<LocalHost>(directory_ / "repositories");
        ServiceOptions options;
        options.redis = redis_.address();
        options.instance = "test";
        options.scaffolder = options_;
        service_ = std::make_unique<Service>(io_.get_executor(), client(io_), std::move(host), options);
        scope_.emplace(io_.get_executor());
        scope_->spawn("scaffolder", [](ScaffolderService* self) -> Task<void> {
            auto ended = co_await self->service_->run();
            EXPECT_TRUE(ended) << ended.error().message;
        }(this));
    }
    void stop() {
        service_->stop();
        run(io_, scope_->drain());
        service_.reset();
        scope_.reset();
    }
    void TearDown() override {
        if (service_) stop();
        ScaffolderTest::TearDown();
    }
    void send(const std::string& id, boost::json::object more = {}) {
        boost::json::object message{
            {"project_id", id}, {"project_name", "My Shop"}, {"modules", {"backend"}}, {"request_id", id}};
        for (const auto& [name, value] : more) message[name] = value;
        redis_.command({"XADD", "scaffolder:queue", "*", "data", boost::json::serialize(message)});
    }
    std::vector<boost::json::object> stream(const std::string& name) {
        std::vector<boost::json::object> out;
        for (const auto& entry : redis::parse_entries(redis_.command({"XRANGE", name, "-", "+"}), name))
            out.push_back(
                boost::json::parse(*entry.field(entry.field("data") ? "data" : "original_message")).as_object());
        return out;
    }
    std::vector<boost::json::object> wait_for(const std::string& name, std::size_t count) {
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        for (;;) {
            auto found = stream(name);
            if (found.size() >= count) return found;
            if (std::chrono::steady_clock::now() > deadline) {
                ADD_FAILURE() << name << " has " << found.size() << " entries, expected " << count;
                return std::vector<boost::json::object>(count);
            }
            run(io_, async::sleep_for(10ms));
        }
    }
    // What the person of a project reads whose scaffolding failed for good.
    std::string given_up(const std::string& id) {
        const auto result = wait_for("scaffolder:results", 1)[0];
        EXPECT_EQ(result.at("status"), "failed");
        EXPECT_EQ(project(id).at("status"), "failed");
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        while (pending() > 0 && std::chrono::steady_clock::now() < deadline) run(io_, async::sleep_for(10ms));
        EXPECT_EQ(pending(), 0);
        EXPECT_TRUE(stream("scaffolder:queue:dlq").empty());
        const auto config = project(id).at("config").as_object();
        const auto* why = config.if_contains("scaffolding_error");
        return why ? std::string(why->as_string()) : "";
    }
    std::int64_t pending() {
        return redis_.command({"XPENDING", "scaffolder:queue", "scaffolder"}).elements[0].integer;
    }

    codegen::testing::TempRedis redis_{io_};
    std::unique_ptr<Service> service_;
    std::optional<async::Scope> scope_;
};

TEST_F(ScaffolderService, tells_what_it_made_once_for_each_message) {
    start();
    const auto id = make_project();
    send(id, {{"callback_stream", "asked"}});
    send(id, {{"request_id", "a-run"}});  // a run that waits
    const auto results = wait_for("scaffolder:results", 2);
    EXPECT_EQ(results[0].at("request_id"), boost::json::string(id));
    EXPECT_EQ(results[1].at("request_id"), "a-run");
    for (const auto& result : results) {
        EXPECT_EQ(result.at("status"), "success");
        EXPECT_EQ(result.at("project_id"), boost::json::string(id));
        EXPECT_EQ(result.at("repo_url"), boost::json::string(repository(id).string()));
        EXPECT_GT(result.at("files_generated").as_int64(), 10);
    }
    EXPECT_EQ(wait_for("asked", 1)[0].at("status"), "success");
    EXPECT_EQ(git(repository(id), {"rev-list", "--count", "--all"}), "1\n");
    const auto progress = stream("task_progress:" + id);
    EXPECT_GT(redis_.command({"TTL", "task_progress:" + id}).integer, 6 * 24 * 3600);
    ASSERT_GE(progress.size(), 4u);
    EXPECT_EQ(progress.front().at("type"), "started");
    EXPECT_EQ(progress.back().at("type"), "completed");
}

TEST_F(ScaffolderService, tells_why_it_failed) {
    start();
    const auto path = make_template({{"copier.yml", "region: {type: str}\n"}, {"a", "b"}});
    const auto id = project_with(path);
    send(id);
    const auto result = wait_for("scaffolder:results", 1)[0];
    EXPECT_EQ(result.at("status"), "failed");
    EXPECT_THAT(std::string(result.at("error").as_string()), HasSubstr("--data region=VALUE"));
    EXPECT_EQ(project(id).at("status"), "failed");
    EXPECT_THAT(std::string(project(id).at("config").at("scaffolding_error").as_string()), HasSubstr("region"));
    EXPECT_EQ(stream("task_progress:" + id).back().at("type"), "failed");
    // Its person answers, and asks again.
    call("PATCH", "/api/projects/" + id, {{"config", {{"template", path}, {"template_data", {{"region", "eu"}}}}}});
    send(id);
    EXPECT_EQ(wait_for("scaffolder:results", 2)[1].at("status"), "success");
}

// What is not there is something else than a project that is not there: left `scaffolding`, it would be asked for again
// every minute.
TEST_F(ScaffolderService, a_template_that_is_not_there_fails_its_project) {
    start();
    const auto id = project_with("no-such-template");
    send(id);
    EXPECT_THAT(given_up(id), HasSubstr("there is no template of ours of that name"));
}

TEST_F(ScaffolderService, a_repository_that_github_does_not_know_fails_its_project) {
    const codegen::testing::FakeGitHub hub;
    start(std::make_unique<GitHubHost>(
        clients::GitHubClient::make(io_.get_executor(), codegen::testing::client_options(hub)).value()));
    const auto id = make_project({{"repository_url", hub.web_url() + "/acme/gone"}});
    send(id);
    EXPECT_THAT(given_up(id), HasSubstr("404"));
}

TEST_F(ScaffolderService, keeps_what_is_about_no_project) {
    start();
    const auto nobody = new_uuid();
    send(nobody);
    EXPECT_EQ(wait_for("scaffolder:queue:dlq", 1)[0].at("project_id"), boost::json::string(nobody));
    EXPECT_EQ(wait_for("scaffolder:results", 1)[0].at("status"), "failed");
}

// What it was doing is cut off at once, and done by the next one.
TEST_F(ScaffolderService, that_stops_leaves_its_work_to_the_next) {
    const auto began = directory_ / "began";
    const auto real = options_.copier;
    copier_is("touch " + began.string() + "; sleep 600");
    start();
    const auto id = make_project();
    send(id);
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!fs::exists(began)) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
        run(io_, async::sleep_for(5ms));
    }
    const auto asked = std::chrono::steady_clock::now();
    stop();
    EXPECT_LT(std::chrono::steady_clock::now() - asked, 20s);
    EXPECT_TRUE(stream("scaffolder:results").empty());
    EXPECT_EQ(project(id).at("status"), "scaffolding");
    EXPECT_TRUE(fs::is_empty(options_.work));
    options_.copier = real;
    start();
    EXPECT_EQ(wait_for("scaffolder:results", 1)[0].at("status"), "success");
    EXPECT_EQ(pending(), 0);
}

}  // namespace
}  // namespace codegen::scaffolder::testing
