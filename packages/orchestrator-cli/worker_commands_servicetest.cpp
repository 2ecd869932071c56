// worker list | show | logs | exec | delete, image list | prune: the real program against the real worker-manager.
#include <gmock/gmock.h>

#include "packages/orchestrator-cli/cli_fixture.hpp"
#include "services/worker-manager/service.hpp"
#include "services/worker-manager/tests/process_runtime.hpp"
#include "shared/clients/api/api_client.hpp"

namespace codegen::cli::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class WorkerCommands : public CliTest {
  protected:
    void SetUp() override {
        CliTest::SetUp();
        fs::create_directories(directory_ / "repositories");
        fs::create_directories(directory_ / "programs");
        for (const auto* name : {"orchestrator", "worker-wrapper"})
            std::ofstream(directory_ / "programs" / name) << "#!/bin/sh\n";
        options_.state_directory = directory_.path();
        options_.programs_source = directory_ / "programs";
        options_.installation = "test";
        options_.host = "here";
        options_.instance = "manager-1";
        options_.redis = *redis::parse_address(redis_.url());
        options_.api_url = "http+unix://" + (directory_ / "api.sock").string();
        options_.service_token = *posix::read_file(directory_ / "service.token", 1000);
        runtime_ = std::make_shared<worker_manager::ProcessRuntime>(io_.get_executor(), directory_ / "workers");
        environment_["CODEGEN_HOST"] = "here";
    }
    void TearDown() override {
        stop();
        runtime_.reset();
        CliTest::TearDown();
    }
    void start_manager() {
        manager_ = std::make_unique<worker_manager::Service>(io_.get_executor(), options_, *database_, runtime_);
        scope_ = std::make_unique<async::Scope>(io_.get_executor());
        scope_->spawn("manager", [](worker_manager::Service* service) -> Task<void> {
            const auto ended = co_await service->run();
            EXPECT_TRUE(ended) << ended.error().message;
        }(manager_.get()));
        ASSERT_TRUE(eventually([&] { return !hosts().empty(); }));
    }
    void stop() {
        if (!manager_) return;
        run(io_, manager_->stop());
        run(io_, scope_->stop());
        manager_.reset();
    }
    bool eventually(std::function<bool()> condition) {
        const auto end = std::chrono::steady_clock::now() + 30s;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end) return false;
            run(io_, async::sleep_for(5ms));
        }
        return true;
    }
    clients::ApiClient api(const std::string& token_file) {
        const auto token = *posix::read_file(directory_ / token_file, 1000);
        return *clients::ApiClient::make(io_.get_executor(), options_.api_url, token);
    }
    boost::json::array hosts() {
        auto client = api("admin.token");
        auto body = run(io_, client.call("GET", "/api/hosts"));
        return body ? boost::json::parse(*body).as_array() : boost::json::array();
    }
    void announce(const std::string& name, const std::string& url) {
        auto client = api("service.token");
        auto done =
            run(io_, client.call("PUT", "/api/hosts/" + name,
                                 boost::json::serialize(boost::json::object{{"manager_url", url}, {"capacity", 1}})));
        ASSERT_TRUE(done) << done.error().message;
    }
    void make_worker(const std::string& name) {
        publish("worker:commands", {{"command", "create"},
                                    {"request_id", "create-" + name},
                                    {"config",
                                     {{"name", name},
                                      {"worker_type", "developer"},
                                      {"agent_type", "custom"},
                                      {"instructions", "do it"},
                                      {"allowed_commands", {"result"}},
                                      {"capabilities", {"git"}},
                                      {"command", {"bash", "-c", "true"}}}},
                                    {"context", {{"user_id", "1"}}}});
        ASSERT_TRUE(
            eventually([&] { return redis_.command({"HGET", "worker:status:" + name, "status"}).text == "RUNNING"; }));
    }
    void write(const std::string& worker, const std::string& file, const std::string& text) {
        std::ofstream(directory_ / "workers" / worker / "state" / file, std::ios::app) << text;
    }

    worker_manager::Options options_;
    std::shared_ptr<worker_manager::ProcessRuntime> runtime_;
    std::unique_ptr<worker_manager::Service> manager_;
    std::unique_ptr<async::Scope> scope_;
};

TEST_F(WorkerCommands, list_and_show) {
    start_manager();
    EXPECT_THAT(orchestrator({"worker", "list", "--text"}).output, HasSubstr("no workers"));
    make_worker("dev-1");
    make_worker("dev-2");
    const auto listed = orchestrator({"worker", "list"});
    EXPECT_EQ(listed.exit, 0) << listed.output;
    ASSERT_EQ(listed.data().as_array().size(), 2u);
    EXPECT_EQ(text(listed.data().as_array()[0], "worker_id"), "dev-1");
    const auto table = orchestrator({"worker", "list", "--text"}).output;
    EXPECT_THAT(table, HasSubstr("ID     STATUS   TYPE       AGENT   TASK  HOST  UPDATED"));
    EXPECT_THAT(table, HasSubstr("dev-2  RUNNING  developer  custom        here  20"));
    const auto shown = orchestrator({"worker", "show", "dev-1"});
    EXPECT_EQ(text(shown.data(), "status"), "RUNNING");
    EXPECT_THAT(orchestrator({"worker", "show", "dev-1", "--text"}).output, HasSubstr("runtime:  process"));
    EXPECT_EQ(orchestrator({"worker", "delete", "dev-2"}).exit, 0);
    EXPECT_EQ(orchestrator({"worker", "list"}).data().as_array().size(), 1u);
    EXPECT_EQ(orchestrator({"worker", "list", "--all"}).data().as_array().size(), 2u);
}

TEST_F(WorkerCommands, exit_facts_are_shown) {
    start_manager();
    make_worker("dev-1");
    runtime_->mark_out_of_memory = true;
    runtime_->kill("dev-1");
    std::string shown;
    ASSERT_TRUE(eventually([&] {
        shown = orchestrator({"worker", "show", "dev-1", "--text"}).output;
        return shown.contains("exit code");
    }));
    EXPECT_THAT(shown, HasSubstr("137 (out of memory)"));
}

TEST_F(WorkerCommands, logs_are_read_during_the_life_and_after_it) {
    start_manager();
    make_worker("dev-1");
    write(
        "dev-1", "wrapper.log",
        R"({"timestamp":"2026-11-25T10:00:00.123456Z","level":"info","service":"worker-wrapper","worker_id":"dev-1","message":"run begins","attempt":1})"
        "\nno JSON \x1b[31m\n");
    write(
        "dev-1", "transcript.ndjson",
        R"({"worker_id":"dev-1","request_id":"r","seq":1,"timestamp":"2026-11-25T10:00:00Z","kind":"text","text":"hi"})"
        "\n");
    write("dev-1", "output.log", "bytes \xff\n");
    for (const auto* when : {"living", "gone"}) {
        const auto log = orchestrator({"worker", "logs", "dev-1"});
        ASSERT_EQ(log.data().as_array().size(), 2u) << when << log.output;
        EXPECT_EQ(text(log.data().as_array()[0], "message"), "run begins") << when;
        const auto for_people = orchestrator({"worker", "logs", "dev-1", "--text"}).output;
        EXPECT_THAT(for_people, HasSubstr("2026-11-25T10:00:00.123 info     run begins attempt=1\n")) << when;
        EXPECT_THAT(for_people, Not(HasSubstr("\x1b"))) << when;
        EXPECT_EQ(orchestrator({"worker", "logs", "dev-1", "--tail", "1"}).data().as_array().size(), 1u) << when;
        const auto transcript = orchestrator({"worker", "logs", "dev-1", "--transcript"});
        ASSERT_EQ(transcript.data().as_array().size(), 1u) << when;
        EXPECT_EQ(text(transcript.data().as_array()[0], "text"), "hi") << when;
        EXPECT_THAT(orchestrator({"worker", "logs", "dev-1", "--transcript", "--text"}).output, HasSubstr("hi"));
        EXPECT_EQ(orchestrator({"worker", "logs", "dev-1", "--output"}).data(), "bytes \xEF\xBF\xBD\n") << when;
        EXPECT_EQ(orchestrator({"worker", "delete", "dev-1"}).exit, 0) << when;
    }
    EXPECT_EQ(orchestrator({"worker", "logs", "dev-1", "--follow", "--text", "--tail", "1"}).output,
              "no JSON \xEF\xBF\xBD[31m\n");
    const auto followed = orchestrator({"worker", "logs", "dev-1", "--follow", "--transcript"});
    EXPECT_THAT(followed.output, ::testing::StartsWith("{\"worker_id\":\"dev-1\""));
    EXPECT_EQ(followed.json().at("success"), true);
}

TEST_F(WorkerCommands, exec_passes_output_and_exit_code_on) {
    start_manager();
    make_worker("dev-1");
    const auto ran = orchestrator({"worker", "exec", "dev-1", "--text", "--", "printf", "%s|", "$HOME", "-l", "a b"});
    EXPECT_EQ(ran.output, "$HOME|-l|a b|");
    EXPECT_EQ(ran.exit, 0);
    EXPECT_EQ(orchestrator({"worker", "exec", "dev-1", "--", "sh", "-c", "exit 7"}).exit, 7);
    const auto json = orchestrator({"worker", "exec", "dev-1", "--", "sh", "-c", "echo out; exit 3"});
    EXPECT_EQ(json.exit, 3);
    EXPECT_EQ(json.data().at("exit_code"), 3);
    EXPECT_EQ(text(json.data(), "output"), "out\n");
    const auto slow = orchestrator({"worker", "exec", "dev-1", "--timeout", "1", "--", "sleep", "60"});
    EXPECT_EQ(slow.exit, 6) << slow.output;
    EXPECT_EQ(text(slow.json(), "error"), "timeout");
    EXPECT_EQ(orchestrator({"worker", "exec", "dev-1"}).exit, 2) << "no command";
    EXPECT_EQ(orchestrator({"worker", "exec", "dev-1", "--timeout", "0", "--", "true"}).exit, 2);
    EXPECT_EQ(orchestrator({"worker", "exec", "dev-9", "--", "true"}).exit, 4);
    runtime_->unreachable = true;
    EXPECT_EQ(orchestrator({"worker", "exec", "dev-1", "--", "true"}).exit, 5);
    runtime_->unreachable = false;
}

TEST_F(WorkerCommands, who_may_not_is_told_so) {
    start_manager();
    make_worker("dev-1");
    auto client = api("admin.token");
    const auto secret_of = [&](boost::json::object body) {
        auto made = run(io_, client.call("POST", "/api/tokens", boost::json::serialize(body)));
        EXPECT_TRUE(made) << made.error().message;
        return text(boost::json::parse(*made), "secret");
    };
    auto other = run(io_, client.call("POST", "/api/users", R"({"telegram_id":7})"));
    ASSERT_TRUE(other);
    const auto stranger = boost::json::parse(*other).at("id").as_int64();
    environment_["ORCHESTRATOR_TOKEN"] = secret_of({{"kind", "user"}, {"user_id", stranger}});
    EXPECT_EQ(orchestrator({"worker", "list"}).data().as_array().size(), 0u);
    for (const auto& command : std::vector<std::vector<std::string>>{{"worker", "show", "dev-1"},
                                                                     {"worker", "logs", "dev-1"},
                                                                     {"worker", "delete", "dev-1"},
                                                                     {"worker", "exec", "dev-1", "--", "true"}})
        EXPECT_EQ(orchestrator(command).exit, 4) << command[1];
    environment_["ORCHESTRATOR_TOKEN"] = secret_of({{"kind", "user"}, {"user_id", 1}, {"actions", {"worker.show"}}});
    EXPECT_EQ(orchestrator({"worker", "show", "dev-1"}).exit, 0);
    EXPECT_EQ(orchestrator({"worker", "delete", "dev-1"}).exit, 3);
    environment_["ORCHESTRATOR_TOKEN"] = "nonsense";
    EXPECT_EQ(orchestrator({"worker", "list"}).exit, 3);
    environment_.erase("ORCHESTRATOR_TOKEN");
    environment_["ALLOWED_COMMANDS"] = "worker.list";
    const auto early = orchestrator({"worker", "exec", "dev-1", "--", "true"});
    EXPECT_EQ(early.exit, 3);
    EXPECT_THAT(early.output, HasSubstr("worker.exec"));
    EXPECT_TRUE(runtime_->runs("dev-1"));
}

TEST_F(WorkerCommands, without_a_manager_it_is_unavailable) {
    const auto none = orchestrator({"worker", "list"});
    EXPECT_EQ(none.exit, 5);
    EXPECT_THAT(none.output, HasSubstr("no worker-manager has announced itself"));
}

TEST_F(WorkerCommands, the_host_that_has_the_worker_is_found_and_one_that_is_away_is_named) {
    start_manager();
    make_worker("dev-1");
    announce("away", "http+unix://" + (directory_ / "nobody.sock").string());
    const auto listed = orchestrator({"worker", "list", "--text"});
    EXPECT_EQ(listed.exit, 0);
    EXPECT_THAT(listed.output, HasSubstr("dev-1"));
    EXPECT_THAT(listed.output, HasSubstr("host away does not answer"));
    EXPECT_EQ(orchestrator({"worker", "list", "--host", "here"}).data().as_array().size(), 1u);
    EXPECT_EQ(orchestrator({"worker", "show", "dev-1"}).exit, 0);
    EXPECT_EQ(orchestrator({"worker", "show", "dev-1", "--host", "away"}).exit, 5);
    EXPECT_EQ(orchestrator({"worker", "show", "dev-1", "--host", "nowhere"}).exit, 4);
    EXPECT_EQ(orchestrator({"worker", "show", "dev-9"}).exit, 5) << "it may be on the host that is away";
}

TEST_F(WorkerCommands, images_are_listed_and_pruned) {
    using std::chrono::hours;
    start_manager();
    EXPECT_THAT(orchestrator({"image", "list", "--text"}).output, HasSubstr("no images"));
    EXPECT_EQ(orchestrator({"image", "prune"}).exit, 0) << "nothing to do";
    const auto now = system_now();
    runtime_->built = {{"worker:aa", "claude-1.0.0", 12'340'000, now - hours(24 * 8), true},
                       {"worker:bb", "", 5'000'000, now - hours(24 * 8), false},
                       {"worker:cc", "", 5'000'000, now - hours(1), false}};
    const auto listed = orchestrator({"image", "list"}).data();
    ASSERT_EQ(listed.as_array().size(), 3u);
    EXPECT_EQ(text(listed.as_array()[0], "agent"), "claude-1.0.0");
    EXPECT_EQ(listed.as_array()[1].at("in_use"), false);
    const auto table = orchestrator({"image", "list", "--text"}).output;
    EXPECT_THAT(table, HasSubstr("TAG        AGENT         SIZE     LAST USED            IN USE  HOST"));
    EXPECT_THAT(table,
                HasSubstr("worker:aa  claude-1.0.0  12.3 MB  " + format_timestamp(now - hours(24 * 8)).substr(0, 19)));

    announce("away", "http+unix://" + (directory_ / "nobody.sock").string());
    const auto week = orchestrator({"image", "prune", "--text"});
    EXPECT_EQ(week.exit, 0) << week.errors;
    EXPECT_THAT(week.output, HasSubstr("removed worker:bb\nhost here: 1 images removed"));
    EXPECT_THAT(week.output, HasSubstr("host away gives no answer"));
    runtime_->keep_images = true;
    const auto kept = orchestrator({"image", "prune", "--unused-for", "0", "--host", "here"});
    EXPECT_EQ(text(kept.json(), "message"), "0 images removed, 1 could not be");
    runtime_->keep_images = false;
    const auto all = orchestrator({"image", "prune", "--unused-for", "0", "--host", "here"});
    ASSERT_EQ(all.data().as_array().size(), 1u);
    EXPECT_EQ(all.data().as_array()[0].at("removed"), boost::json::array{"worker:cc"});
    EXPECT_EQ(runtime_->built.size(), 1u) << "never one in use";
    EXPECT_EQ(orchestrator({"image", "list", "--host", "away"}).exit, 5);
    EXPECT_EQ(orchestrator({"image", "prune", "--unused-for", "-1"}).exit, 2);

    auto client = api("admin.token");
    auto user = run(io_, client.call("POST", "/api/users", R"({"telegram_id":7})"));
    ASSERT_TRUE(user);
    auto token = run(io_, client.call("POST", "/api/tokens",
                                      boost::json::serialize(boost::json::object{
                                          {"kind", "user"}, {"user_id", boost::json::parse(*user).at("id")}})));
    ASSERT_TRUE(token);
    environment_["ORCHESTRATOR_TOKEN"] = text(boost::json::parse(*token), "secret");
    for (const auto* command : {"list", "prune"}) {
        const auto refused = orchestrator({"image", command, "--host", "here"});
        EXPECT_EQ(refused.exit, 3) << command;
        EXPECT_THAT(refused.output, HasSubstr("only an admin")) << command;
    }
    environment_["ALLOWED_COMMANDS"] = "image.list";
    EXPECT_THAT(orchestrator({"image", "prune"}).output, HasSubstr("image.prune"));
}

TEST_F(WorkerCommands, help_has_examples) {
    for (const auto* command : {"list", "show", "logs", "exec", "delete"}) {
        const auto help = orchestrator({"worker", command, "--help"});
        EXPECT_EQ(help.exit, 0);
        EXPECT_THAT(help.output, HasSubstr(std::string("orchestrator worker ") + command));
    }
    for (const auto* command : {"list", "prune"})
        EXPECT_THAT(orchestrator({"image", command, "--help"}).output,
                    HasSubstr(std::string("orchestrator image ") + command));
}

}  // namespace
}  // namespace codegen::cli::testing
