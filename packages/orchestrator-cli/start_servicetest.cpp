// `... start` when something is missing or breaks, and what every start shares.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <csignal>

#include "packages/orchestrator-cli/cli_fixture.hpp"

namespace codegen::cli::testing {
namespace {

using ::testing::HasSubstr;

class StartTest : public CliTest {
  protected:
    // What the API serves is changed by `filter` first: an answer of its own, or nullopt to pass the request on.
    using Filter = std::function<std::optional<http::Reply>(const http::Request&)>;
    void filter(Filter filter) {
        run(io_, server_->stop(100ms));
        filter_ = std::move(filter);
        server_ = std::make_unique<http::Server>(
            io_.get_executor(),
            [this](http::Request request, http::Peer peer) { return pass(this, std::move(request), peer); },
            api_->server_options());
        ASSERT_TRUE(server_->listen_unix(directory_ / "api.sock", 0600));
    }
    static Task<http::Reply> pass(StartTest* self, http::Request request, http::Peer peer) {
        auto answer = self->filter_(request);
        if (answer) co_return std::move(*answer);
        const bool made = request.method == "POST" && request.target == "/api/tasks";
        auto reply = co_await self->api_->handler()(std::move(request), peer);
        if (made && self->after_post_) self->after_post_();
        co_return reply;
    }
    static http::Reply answer(unsigned status, const std::string& body, std::optional<std::string> retry_after = {}) {
        http::Reply reply;
        reply.head = http::json_response(status, boost::json::object{{"title", body}});
        if (retry_after) reply.head.headers.set("Retry-After", *retry_after);
        return reply;
    }
    std::size_t tasks(const std::string& project) {
        return orchestrator({"project", "tasks", project}).data().as_array().size();
    }

    Filter filter_;
    std::function<void()> after_post_;
};

TEST_F(StartTest, is_refused_when_nobody_runs_the_role) {
    const auto project = make_project();
    const auto deploy = orchestrator({"deploy", "start", "--project", project});
    EXPECT_EQ(deploy.exit, 5) << deploy.output;
    EXPECT_EQ(text(deploy.json(), "error"), "no_role");
    EXPECT_THAT(text(deploy.json(), "message"), HasSubstr("nobody runs a role that deploys"));
    EXPECT_THAT(text(deploy.json(), "message"), HasSubstr("deploy/deploy.sh")) << "no role to start exists";
    EXPECT_EQ(tasks(project), 0u) << "nothing waits for ever";
    EXPECT_TRUE(stream("deploy:queue").empty());

    // A role that ran once is not a role that runs: its consumer is gone.
    redis_.command({"XGROUP", "DESTROY", "engineering:queue", "capability-workers"});
    redis_.command({"XGROUP", "CREATE", "engineering:queue", "capability-workers", "0"});
    EXPECT_EQ(orchestrator({"engineering", "start", "--project", project, "--spec", "x"}).exit, 5);
    EXPECT_EQ(tasks(project), 0u);

    take_from("deploy:queue");
    const auto started = orchestrator({"deploy", "start", "--project", project});
    ASSERT_EQ(started.exit, 0) << started.output;
    const auto id = text(started.data(), "id");
    ASSERT_EQ(stream("deploy:queue").size(), 1u);
    EXPECT_EQ(text(stream("deploy:queue")[0], "task_id"), id);
    EXPECT_EQ(text(stream("deploy:queue")[0], "request_id"), id);
    EXPECT_EQ(text(orchestrator({"deploy", "status", id}).data(), "type"), "deploy");
}

TEST_F(StartTest, deploy_status_knows_deployments_only) {
    const auto project = make_project();
    const auto id = text(orchestrator({"engineering", "start", "--project", project, "--spec", "x"}).data(), "id");
    const auto ran = orchestrator({"deploy", "status", id});
    EXPECT_EQ(ran.exit, 4);
    EXPECT_THAT(text(ran.json(), "message"), HasSubstr("no deployment but of type engineering"));
}

// Killed between its two writes, the command leaves a task that the workflow's sweeper starts (tested there:
// SweptWorkflow); the same call again completes it and doubles nothing.
TEST_F(StartTest, killed_between_its_writes_and_repeated) {
    const auto project = make_project();
    const std::string id = "0b7f2f2e-5d3a-4c61-9a52-3c1a7f1f6a01";
    const std::vector<std::string> call{"engineering", "start", "--project", project, "--spec", "x", "--id", id};
    filter([](const http::Request&) { return std::nullopt; });
    process::Spec spec;
    spec.argv = call;
    spec.argv.insert(spec.argv.begin(), CODEGEN_BIN_DIR "/orchestrator");
    spec.environment = environment_;
    std::unique_ptr<process::Child> command;
    // The task is in the database, its answer not yet on the way.
    after_post_ = [&] { command->signal(SIGKILL); };
    auto started = process::start(io_.get_executor(), std::move(spec), directory_ / "killed.log");
    ASSERT_TRUE(started) << started.error().message;
    command = std::move(*started);
    const int status = run(io_, command->wait(), 30s);
    EXPECT_TRUE(WIFSIGNALED(status));
    after_post_ = nullptr;
    EXPECT_TRUE(stream("engineering:queue").empty());
    EXPECT_EQ(text(orchestrator({"engineering", "status", id}).data(), "status"), "queued");

    for (int i = 0; i < 2; ++i) EXPECT_EQ(orchestrator(call).exit, 0);
    EXPECT_EQ(tasks(project), 1u);
    for (const auto& message : stream("engineering:queue")) EXPECT_EQ(text(message, "request_id"), id);
    EXPECT_EQ(orchestrator({"engineering", "start", "--project", project, "--spec", "else", "--id", id}).exit, 1)
        << "another task under the same id";
    EXPECT_EQ(orchestrator({"engineering", "start", "--project", project, "--spec", "x", "--id", "7"}).exit, 2);
}

TEST_F(StartTest, gives_up_after_three_retries) {
    int asked = 0;
    filter([&](const http::Request&) -> std::optional<http::Reply> {
        ++asked;
        return answer(503, "not now");
    });
    const auto begin = std::chrono::steady_clock::now();
    const auto ran = orchestrator({"project", "list"});
    EXPECT_EQ(ran.exit, 5) << ran.output;
    EXPECT_EQ(text(ran.json(), "error"), "unavailable");
    EXPECT_EQ(asked, 4);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 6500ms) << "1, 2 and 4 s between the tries";
}

TEST_F(StartTest, comes_back_when_it_was_asked_to) {
    int asked = 0;
    filter([&](const http::Request&) -> std::optional<http::Reply> {
        if (++asked > 1) return std::nullopt;
        return answer(429, "slowly", "2");
    });
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(orchestrator({"project", "list"}).exit, 0);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 2s);
    asked = 0;
    filter([&](const http::Request&) -> std::optional<http::Reply> {
        ++asked;
        return answer(429, "tomorrow", "3600");
    });
    const auto ran = orchestrator({"project", "list"});
    EXPECT_EQ(ran.exit, 5) << ran.output;
    EXPECT_THAT(text(ran.json(), "message"), HasSubstr("come back in 3600 s"));
    EXPECT_EQ(asked, 1) << "an hour is for the caller to decide";
}

TEST_F(StartTest, what_is_refused_is_not_tried_again) {
    int asked = 0;
    filter([&](const http::Request&) -> std::optional<http::Reply> {
        ++asked;
        return answer(400, "no");
    });
    EXPECT_EQ(orchestrator({"project", "list"}).exit, 1);
    EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace codegen::cli::testing
