#include <gmock/gmock.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "packages/orchestrator-cli/cli_fixture.hpp"

namespace codegen::cli::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(CliTest, projects_from_creation_to_table) {
    const auto created = orchestrator({"project", "create", "--name", "shop", "--modules", "backend,tg_bot",
                                       "--description", "sells", "--test-command", "make test"});
    EXPECT_EQ(created.exit, 0) << created.output << created.errors;
    const auto id = text(created.data(), "id");
    EXPECT_EQ(created.json().at("success"), true);
    const auto queued = stream("scaffolder:queue");
    ASSERT_EQ(queued.size(), 1u);
    EXPECT_EQ(text(queued[0], "project_id"), id);
    EXPECT_EQ(queued[0].at("modules"), (boost::json::array{"backend", "telegram"}));

    EXPECT_EQ(orchestrator({"project", "list"}).data().as_array().size(), 1u);
    const auto shown = orchestrator({"project", "list", "--text"});
    EXPECT_THAT(shown.output, HasSubstr("ID"));
    EXPECT_THAT(shown.output, HasSubstr(id));
    EXPECT_THAT(shown.output, Not(HasSubstr("\x1b")));
    EXPECT_EQ(text(orchestrator({"project", "get", id}).data(), "description"), "sells");
    EXPECT_EQ(orchestrator({"project", "get", id}).data().as_object().at("config").at("test_command"), "make test");
    EXPECT_EQ(orchestrator({"project", "tasks", id}).data().as_array().size(), 0u);

    for (const auto* command : {"get", "tasks"}) {
        const auto missing = orchestrator({"project", command, "5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c"});
        EXPECT_EQ(missing.exit, 4) << missing.output;
        EXPECT_EQ(text(missing.json(), "error"), "not_found");
    }
    const auto wrong = orchestrator({"project", "create", "--name", "x", "--modules", "backend,moon"});
    EXPECT_EQ(wrong.exit, 2);
    EXPECT_THAT(text(wrong.json(), "message"), HasSubstr("moon"));
}

TEST_F(CliTest, a_project_may_have_its_code_already) {
    const std::string url = "https://github.com/acme/shop";
    const auto created = orchestrator({"project", "create", "--name", "shop", "--repository", url});
    ASSERT_EQ(created.exit, 0) << created.output << created.errors;
    const auto project = created.json().at("data").as_object();
    EXPECT_EQ(project.at("repository_url"), boost::json::string(url));
    EXPECT_EQ(project.at("status"), "draft") << "nobody makes it a first code base";
    EXPECT_EQ(redis_.command({"XLEN", "scaffolder:queue"}).integer, 0);
    const auto both = orchestrator({"project", "create", "--name", "x", "--repository", url, "--template", "standard"});
    EXPECT_EQ(both.exit, 2) << both.output;
}

TEST_F(CliTest, a_token_in_an_address_is_refused_and_not_repeated) {
    for (const auto* option : {"--template", "--repository"}) {
        const auto refused = orchestrator({"project", "create", "--name", "x", option, "https://se-cret@h.test/o/t"});
        EXPECT_EQ(refused.exit, 2) << refused.output;
        EXPECT_THAT(refused.output + refused.errors, Not(HasSubstr("se-cret")));
    }
    EXPECT_EQ(orchestrator({"project", "list"}).data(), boost::json::array());
}

TEST_F(CliTest, a_project_names_its_template_and_the_answers_to_it) {
    const auto alone = orchestrator({"project", "create", "--name", "x"});
    EXPECT_EQ(text(alone.data(), "status"), "draft");
    EXPECT_THAT(text(alone.json(), "message"), HasSubstr("nobody runs the scaffolder role"));

    take_from("scaffolder:queue", "scaffolder");
    const auto created = orchestrator({"project", "create", "--name", "shop", "--template", "https://example.org/t@v1",
                                       "--data", "region=eu=west", "--data", "docs=", "--modules", "frontend"});
    ASSERT_EQ(created.exit, 0) << created.output << created.errors;
    EXPECT_EQ(text(created.data(), "status"), "scaffolding");
    EXPECT_THAT(text(created.json(), "message"), Not(HasSubstr("nobody")));
    const auto config = created.data().as_object().at("config").as_object();
    EXPECT_EQ(config.at("template"), "https://example.org/t@v1");
    EXPECT_EQ(config.at("template_data"), (boost::json::object{{"region", "eu=west"}, {"docs", ""}}));
    EXPECT_EQ(text(stream("scaffolder:queue").back(), "project_id"), text(created.data(), "id"));
    for (const auto* wrong : {"region", "=eu"}) {
        const auto refused = orchestrator({"project", "create", "--name", "x", "--data", wrong});
        EXPECT_EQ(refused.exit, 2);
        EXPECT_THAT(text(refused.json(), "message"), HasSubstr("expected KEY=VALUE"));
    }
}

// What a person types arrives as it was typed.
TEST_F(CliTest, spec_and_command_arrive_byte_for_byte) {
    const auto project = make_project();
    const std::vector<std::string> values{
        "plain",
        "\"quoted\" 'single' `back` $HOME $(id) \\n %s %%",
        "[a,b]",
        "{}",
        "{\"a\":1}",
        "line one\n\nline three\n",
        "tab\there",
        "  spaces around  ",
        "größe 🚀 ‮x",
        "a,b;c",
        "''",
        "\"\"",
        "-dash",
        "--project",
        "\x01\x1f",
    };
    for (const auto& value : values) {
        SCOPED_TRACE(value);
        const auto ran = orchestrator({"engineering", "start", "--project", project, "--spec=" + value, "--agent",
                                       "custom", "--agent-command=" + value});
        ASSERT_EQ(ran.exit, 0) << ran.output << ran.errors;
        EXPECT_EQ(text(ran.data(), "spec"), value);
        EXPECT_EQ(text(ran.data().at("task_metadata"), "agent_command"), value);
    }
    const std::string long_text = std::string(200000, 'x') + "\n\"$'\n";
    ASSERT_TRUE(posix::write_file_atomically(directory_ / "spec.md", long_text, 0600));
    const auto from_file =
        orchestrator({"engineering", "start", "--project", project, "--spec", "@" + (directory_ / "spec.md").string()});
    EXPECT_EQ(text(from_file.data(), "spec"), long_text);
    const auto from_input = orchestrator({"engineering", "start", "--project", project, "--spec", "-"}, long_text);
    EXPECT_EQ(text(from_input.data(), "spec"), long_text);
}

TEST_F(CliTest, start_writes_task_and_queue_entry) {
    const auto project = make_project();
    const auto ran = orchestrator({"engineering", "trigger", "--project", project, "--spec", "do it", "--agent",
                                   "claude", "--model", "m", "--timeout", "60", "--memory-limit", "1g"});
    ASSERT_EQ(ran.exit, 0) << ran.output;
    const auto id = text(ran.data(), "id");
    EXPECT_EQ(ran.data().at("task_metadata"),
              (boost::json::object{{"agent", "claude"}, {"model", "m"}, {"memory_limit", "1g"}, {"timeout", 60}}));
    const auto queue = stream("engineering:queue");
    ASSERT_EQ(queue.size(), 1u);
    EXPECT_EQ(text(queue[0], "task_id"), id);
    EXPECT_EQ(text(queue[0], "request_id"), id);
    EXPECT_EQ(text(queue[0], "project_id"), project);
    EXPECT_EQ(queue[0].at("user_id"), 1);
    EXPECT_EQ(text(orchestrator({"engineering", "status", id}).data(), "status"), "queued");
    EXPECT_EQ(orchestrator({"project", "tasks", project}).data().as_array().size(), 1u);
}

TEST_F(CliTest, wrong_usage) {
    const std::vector<std::vector<std::string>> cases{
        {},
        {"dance"},
        {"project"},
        {"project", "get"},
        {"engineering", "start", "--project", "p"},
        {"engineering", "start", "--project", "p", "--spec", ""},
        {"engineering", "start", "--project", "p", "--spec", "@/nonexistent"},
        {"engineering", "start", "--project", "p", "--spec", "x", "--agent", "gpt"},
        {"engineering", "start", "--project", "p", "--spec", "x", "--agent", "custom"},
        {"engineering", "start", "--project", "p", "--spec", "x", "--agent", "claude", "--agent-command", "y"},
        {"engineering", "wait", "t", "--timeout", "-1"},
        {"project", "list", "--limit", "501"},
        {"result", "--status", "splendid", "--summary", "x"},
    };
    for (const auto& arguments : cases) {
        const auto ran = orchestrator(arguments);
        EXPECT_EQ(ran.exit, 2) << ::testing::PrintToString(arguments) << ran.output;
        EXPECT_EQ(text(ran.json(), "error"), "usage") << ran.output;
    }
    EXPECT_TRUE(stream("engineering:queue").empty());
}

TEST_F(CliTest, wrong_usage_is_named_with_the_way_out) {
    const auto refused = [&](std::vector<std::string> arguments) {
        const auto ran = orchestrator(std::move(arguments));
        EXPECT_EQ(ran.exit, 2) << ran.output;
        return text(ran.json(), "message");
    };
    EXPECT_THAT(refused({"project", "creat"}), HasSubstr("\"creat\" is no command of orchestrator project"));
    EXPECT_THAT(refused({"project", "create", "--name", "--text"}), HasSubstr("--name has no value"));
    const std::vector<std::string> start{"engineering", "start", "--project", "p", "--spec", "s"};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.begin(), start.begin(), start.end());
        return refused(std::move(more));
    };
    EXPECT_THAT(with({"--memory-limit", "2x"}), HasSubstr("--memory-limit is \"2x\": expected a size"));
    EXPECT_THAT(with({"--wait-timeout", "3"}), HasSubstr("only for --wait or --follow"));
    EXPECT_THAT(with({"--budget-usd", "-1"}), HasSubstr("expected a number above 0"));
    EXPECT_THAT(refused({"project", "create", "--name", "x", "--repository", "foo"}),
                HasSubstr("--repository is \"foo\": expected a URL, or an absolute path"));
}

TEST_F(CliTest, help_and_version) {
    EXPECT_THAT(orchestrator({"--version"}).output, HasSubstr(CODEGEN_VERSION));
    const auto help = orchestrator({"--help"});
    EXPECT_EQ(help.exit, 0);
    EXPECT_THAT(help.output, HasSubstr("Exit codes"));
    EXPECT_THAT(orchestrator({"engineering", "start", "--help"}).output, HasSubstr("--agent-command"));
}

TEST_F(CliTest, wait_tells_every_end) {
    const auto project = make_project();
    const auto task = [&] {
        return text(orchestrator({"engineering", "start", "--project", project, "--spec", "x"}).data(), "id");
    };
    const auto completed = task();
    patch(completed, {{"status", "running"}});
    patch(completed, {{"status", "completed"}, {"result", {{"commit_sha", "c0ffee"}, {"branch", "task/x"}}}});
    const auto done = orchestrator({"engineering", "wait", completed});
    EXPECT_EQ(done.exit, 0);
    EXPECT_EQ(text(done.data().at("result"), "commit_sha"), "c0ffee");
    EXPECT_THAT(orchestrator({"engineering", "status", completed, "--text"}).output, HasSubstr("c0ffee"));

    const auto failed = task();
    patch(failed, {{"status", "failed"}, {"result", {{"reason", "no_commit"}}}, {"error_message", "nothing there"}});
    const auto bad = orchestrator({"engineering", "wait", failed});
    EXPECT_EQ(bad.exit, 1);
    EXPECT_EQ(text(bad.json(), "error"), "task_failed");
    EXPECT_THAT(text(bad.json(), "message"), HasSubstr("no_commit: nothing there"));
    EXPECT_EQ(text(bad.json().at("details"), "id"), failed);

    const auto cancelled = task();
    patch(cancelled, {{"status", "cancelled"}});
    EXPECT_EQ(orchestrator({"engineering", "wait", cancelled}).exit, 1);

    const auto endless = orchestrator({"engineering", "wait", task(), "--timeout", "1"});
    EXPECT_EQ(endless.exit, 6);
    EXPECT_EQ(text(endless.json(), "error"), "timeout");
}

TEST_F(CliTest, follow_shows_progress_and_events_until_the_end) {
    const auto project = make_project();
    const auto id = text(orchestrator({"engineering", "start", "--project", project, "--spec", "x"}).data(), "id");
    const auto worker = "dev-" + id + "-1";
    publish("task_progress:" + id, {{"type", "started"}, {"request_id", "r"}, {"message", "started"}});
    publish("worker:" + worker + ":events", {{"worker_id", worker},
                                             {"request_id", "r"},
                                             {"seq", 1},
                                             {"timestamp", "2026-01-10T12:00:00Z"},
                                             {"kind", "text"},
                                             {"text", "hello\x1b[2J\nworld"}});
    for (const bool people : {true, false}) {
        const auto follow = [&]() {
            std::vector<std::string> arguments{"engineering", "wait", id, "--follow"};
            if (people) arguments.push_back("--text");
            return arguments;
        };
        std::optional<Ran> ran;
        async::Scope scope(io_.get_executor());
        scope.spawn("follow", [](CliTest* self, Task<Ran> task, std::optional<Ran>* out) -> Task<void> {
            static_cast<void>(self);
            out->emplace(co_await std::move(task));
        }(this, start(follow()), &ran));
        if (people) {
            patch(id, {{"status", "running"}, {"task_metadata", {{"worker_id", worker}}}});
            publish("task_progress:" + id, {{"type", "completed"}, {"request_id", "r"}, {"message", "the end"}});
            patch(id, {{"status", "completed"}, {"result", {{"commit_sha", "c0ffee"}}}});
        }
        run(io_, scope.drain());
        ASSERT_TRUE(ran);
        EXPECT_EQ(ran->exit, 0) << ran->errors;
        EXPECT_THAT(ran->output, HasSubstr("started"));
        EXPECT_THAT(ran->output, HasSubstr("the end"));
        EXPECT_THAT(ran->output, HasSubstr("c0ffee"));
        EXPECT_THAT(ran->output, Not(HasSubstr("\x1b")));
        if (people)
            EXPECT_THAT(ran->output, HasSubstr("hello\xEF\xBF\xBD[2J world"));
        else
            EXPECT_EQ(ran->json().at("success"), true);
    }
}

TEST_F(CliTest, cancel_and_resume_reach_the_workflow) {
    const auto project = make_project();
    const auto id = text(orchestrator({"engineering", "start", "--project", project, "--spec", "x"}).data(), "id");
    EXPECT_EQ(orchestrator({"engineering", "cancel", id}).exit, 0);
    auto sent = stream("workflow:commands");
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(text(sent[0], "command"), "cancel");
    EXPECT_EQ(text(sent[0], "task_id"), id);
    EXPECT_EQ(sent[0].at("user_id"), 1);
    // Also where Redis loses it.
    const auto kept = run(io_, database_->query("SELECT id, task_id FROM pending_commands"));
    ASSERT_TRUE(kept && kept->rows.size() == 1);
    EXPECT_EQ(kept->rows[0].text("id"), text(sent[0], "request_id"));
    EXPECT_EQ(kept->rows[0].text("task_id"), id);
    const auto refused = orchestrator({"engineering", "resume", id, "--guidance", "go"});
    EXPECT_EQ(refused.exit, 1);
    EXPECT_EQ(text(refused.json(), "error"), "conflict");
    patch(id, {{"status", "running"}, {"task_metadata", {{"waiting_for", "human"}, {"question", "tabs or spaces?"}}}});
    const auto shown = orchestrator({"engineering", "status", id, "--text"});
    EXPECT_THAT(shown.output, HasSubstr("tabs or spaces?"));
    EXPECT_THAT(shown.output, HasSubstr("engineering resume " + id));
    EXPECT_EQ(orchestrator({"engineering", "resume", id, "--guidance", ""}).exit, 2);
    EXPECT_EQ(orchestrator({"engineering", "resume", id, "--guidance", "@/absent"}).exit, 2);
    EXPECT_EQ(orchestrator({"engineering", "resume", id, "--guidance", "go"}).exit, 0);
    sent = stream("workflow:commands");
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(text(sent[1], "guidance"), "go");
    patch(id, {{"status", "cancelled"}});
    EXPECT_EQ(orchestrator({"engineering", "cancel", id}).exit, 1);
    EXPECT_EQ(orchestrator({"engineering", "cancel", "5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c"}).exit, 4);
}

TEST_F(CliTest, permissions) {
    environment_["ALLOWED_COMMANDS"] = "DEVELOPER";
    EXPECT_EQ(orchestrator({"project", "list"}).exit, 0);
    const auto denied = orchestrator({"project", "create", "--name", "x"});
    EXPECT_EQ(denied.exit, 3);
    EXPECT_EQ(text(denied.json(), "error"), "permission_denied");
    EXPECT_EQ(denied.json().at("allowed_commands"),
              (boost::json::array{"project.get", "project.list", "engineering.status", "respond", "result"}));
    const auto people = orchestrator({"project", "create", "--name", "x", "--text"});
    EXPECT_EQ(people.exit, 3);
    EXPECT_THAT(people.errors, HasSubstr("allowed commands: project.get"));
    environment_["ALLOWED_COMMANDS"] = "project.*";
    EXPECT_EQ(orchestrator({"project", "create", "--name", "x"}).exit, 0);
    EXPECT_EQ(orchestrator({"diagnose", "api"}).exit, 3);
}

TEST_F(CliTest, wrong_token_is_denied) {
    environment_["ORCHESTRATOR_TOKEN"] = "nonsense";
    const auto ran = orchestrator({"project", "list"});
    EXPECT_EQ(ran.exit, 3) << ran.output;
}

TEST_F(CliTest, no_control_plane) {
    environment_["CODEGEN_STATE_DIR"] = (directory_ / "elsewhere").string();
    for (const auto& arguments : std::vector<std::vector<std::string>>{
             {"project", "list"}, {"diagnose", "redis"}, {"worker", "list"}, {"engineering", "status", "x"}}) {
        const auto ran = orchestrator(arguments);
        EXPECT_EQ(ran.exit, 5) << ran.output;
        EXPECT_EQ(text(ran.json(), "error"), "unavailable");
        EXPECT_THAT(text(ran.json(), "message"), HasSubstr("make up"));
    }
}

// The server comes back between the tries: nobody notices.
TEST_F(CliTest, a_restart_of_the_api_is_waited_out) {
    run(io_, server_->stop(100ms));
    // A server that is killed while it answers the first try; what it leaves behind is a socket that nobody listens on.
    auto killed = std::make_unique<asio::local::stream_protocol::acceptor>(
        io_, asio::local::stream_protocol::endpoint((directory_ / "api.sock").string()));
    std::optional<Ran> ran;
    async::Scope scope(io_.get_executor());
    scope.spawn("list", [](Task<Ran> task, std::optional<Ran>* out) -> Task<void> {
        out->emplace(co_await std::move(task));
    }(start({"project", "list"}), &ran));
    run(io_, [](asio::local::stream_protocol::acceptor* acceptor) -> Task<void> {
        co_await acceptor->async_accept(asio::use_awaitable);
    }(killed.get()));
    killed.reset();
    EXPECT_FALSE(ran) << "it does not give up at once";
    server_ = std::make_unique<http::Server>(io_.get_executor(), api_->handler(), api_->server_options());
    ASSERT_TRUE(server_->listen_unix(directory_ / "api.sock", 0600));
    run(io_, scope.drain());
    EXPECT_EQ(ran->exit, 0) << ran->output;
}

TEST_F(CliTest, diagnose) {
    EXPECT_EQ(orchestrator({"diagnose", "api"}).exit, 0);
    const auto redis = orchestrator({"diagnose", "redis"});
    EXPECT_EQ(redis.exit, 0) << redis.output;
    EXPECT_FALSE(text(redis.data(), "version").empty());
    make_project();
    EXPECT_EQ(orchestrator({"diagnose", "projects"}).data().at("projects"), 1);
    environment_["DOCKER_HOST"] = "unix://" + (directory_ / "no.sock").string();
    const auto docker = orchestrator({"diagnose", "docker"});
    EXPECT_EQ(docker.exit, 5);
    EXPECT_THAT(text(docker.json(), "message"), HasSubstr("no.sock"));
}

// Inside a worker: a gateway directory with http.sock and agent/agent.sock, no token, no Redis.
class InsideWorker : public CliTest {
  protected:
    void SetUp() override {
        CliTest::SetUp();
        std::filesystem::create_directories(directory_ / "gw/agent");
        gateway_ = std::make_unique<http::Server>(
            io_.get_executor(), [this](http::Request request, http::Peer) { return answer(this, std::move(request)); });
        ASSERT_TRUE(gateway_->listen_unix(directory_ / "gw/http.sock", 0600));
        environment_ = {{"CODEGEN_GATEWAY", (directory_ / "gw").string()},
                        {"ALLOWED_COMMANDS", "*"},
                        {"WORKER_ID", "dev-1"},
                        {"WORKER_TYPE", "developer"},
                        {"TASK_ID", "the-task"}};
    }
    void TearDown() override {
        run(io_, gateway_->stop(100ms));
        gateway_.reset();
        CliTest::TearDown();
    }
    static Task<http::Reply> answer(InsideWorker* self, http::Request request) {
        EXPECT_FALSE(request.headers.get("Authorization")) << "a worker has no token";
        self->requests_.push_back(request);
        http::Reply reply;
        reply.head = self->refuse_ ? http::problem(403, "command engineering.start is not permitted")
                                   : http::json_response(200, {{"entry_id", "1-0"}});
        co_return reply;
    }
    // Serves agent.sock once, as the wrapper does.
    std::string serve_wrapper(const std::vector<std::string>& arguments, std::string reply, Ran& ran) {
        asio::local::stream_protocol::acceptor acceptor(
            io_, asio::local::stream_protocol::endpoint((directory_ / "gw/agent/agent.sock").string()));
        std::string line;
        async::Scope scope(io_.get_executor());
        scope.spawn(
            "wrapper",
            [](asio::local::stream_protocol::acceptor* listening, std::string out, std::string* got) -> Task<void> {
                auto [failed, socket] = co_await listening->async_accept(async::use_tuple);
                if (failed) co_return;
                asio::dynamic_string_buffer buffer(*got);
                co_await asio::async_read_until(socket, buffer, '\n', async::use_tuple);
                co_await asio::async_write(socket, asio::buffer(out), async::use_tuple);
            }(&acceptor, std::move(reply), &line));
        ran = orchestrator(arguments);
        run(io_, scope.drain());
        std::filesystem::remove(directory_ / "gw/agent/agent.sock");
        return line;
    }

    std::unique_ptr<http::Server> gateway_;
    std::vector<http::Request> requests_;
    bool refuse_ = false;
};

TEST_F(InsideWorker, result_goes_to_the_wrapper) {
    Ran ran;
    const auto line =
        serve_wrapper({"result", "--status", "success", "--summary", "did \"it\"", "--data", R"({"no_changes":true})"},
                      "{\"success\":true}\n", ran);
    EXPECT_EQ(ran.exit, 0) << ran.output;
    EXPECT_EQ(boost::json::parse(line), boost::json::parse(R"({"command":"result","verdict":{"status":"success",
        "summary":"did \"it\"","data":{"no_changes":true}}})"));
    serve_wrapper({"result", "--status", "failure", "--summary", "x"},
                  R"({"success":false,"error":"permission_denied","message":"not allowed"})"
                  "\n",
                  ran);
    EXPECT_EQ(ran.exit, 3);
    EXPECT_EQ(text(ran.json(), "message"), "not allowed");
    EXPECT_EQ(orchestrator({"result", "--status", "success", "--summary", "x", "--data", "[]"}).exit, 2);
    EXPECT_EQ(orchestrator({"result", "--status", "success", "--summary", "x"}).exit, 5) << "no wrapper there";
}

TEST_F(InsideWorker, queue_entries_go_through_the_gateway) {
    const auto ran = orchestrator({"respond", "--message", "half way"});
    EXPECT_EQ(ran.exit, 0) << ran.output;
    ASSERT_EQ(requests_.size(), 1u);
    EXPECT_EQ(requests_[0].method, "POST");
    EXPECT_EQ(requests_[0].target, "/streams/task_progress:the-task");
    EXPECT_EQ(text(boost::json::parse(requests_[0].body), "message"), "half way");
    refuse_ = true;
    const auto refused = orchestrator({"respond", "--message", "more"});
    EXPECT_EQ(refused.exit, 3) << refused.output;
    EXPECT_THAT(text(refused.json(), "message"), HasSubstr("not permitted"));
}

TEST_F(InsideWorker, missing_permissions_mean_none_and_redis_is_out_of_reach) {
    EXPECT_EQ(orchestrator({"worker", "list"}).exit, 3);
    environment_.erase("ALLOWED_COMMANDS");
    EXPECT_EQ(orchestrator({"respond", "--message", "x"}).exit, 3);
    EXPECT_TRUE(requests_.empty());
}

TEST_F(CliTest, result_and_respond_only_inside_a_worker) {
    EXPECT_EQ(text(orchestrator({"result", "--status", "success", "--summary", "x"}).json(), "error"), "not_in_worker");
    EXPECT_EQ(orchestrator({"respond", "--message", "x"}).exit, 1);
}

}  // namespace
}  // namespace codegen::cli::testing
