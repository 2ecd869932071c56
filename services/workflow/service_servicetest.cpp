#include "services/workflow/service.hpp"
#include "services/workflow/workflow_fixture.hpp"
#include "shared/process/process.hpp"

namespace codegen::workflow::testing {
namespace {

TEST_F(WorkflowTest, happy_path) {
    const std::string spec = "Füge $HOME \"hinzu\"\n\t<&>\n";
    const auto id = make_task(
        {{"agent", "custom"}, {"agent_command", "cat > \"$X\""}, {"timeout", 77}, {"memory_limit", "512m"}}, spec);
    enqueue(id, {{"callback_stream", "asked"}});

    const auto create = accept_create();
    const auto& config = create.at("config").as_object();
    EXPECT_EQ(worker_of(create), "dev-" + id + "-1");
    EXPECT_EQ(config.at("worker_type"), "developer");
    EXPECT_EQ(config.at("agent_type"), "custom");
    EXPECT_EQ(config.at("memory_limit"), "512m");
    EXPECT_EQ(config.at("command"), (boost::json::array{"bash", "-c", "cat > \"$X\""}));
    EXPECT_EQ(config.at("allowed_commands"),
              (boost::json::array{"project.get", "project.list", "engineering.status", "respond", "result"}));
    EXPECT_EQ(create.at("context").at("task_id"), js(id));
    EXPECT_EQ(create.at("context").at("user_id"), "1");
    const auto repository = (directory_ / "repositories" / (project_ + ".git")).string();
    EXPECT_EQ(create.at("workspace").at("repo_url"), js(repository));
    EXPECT_EQ(create.at("workspace").at("base_ref"), "main");
    EXPECT_EQ(create.at("workspace").at("branch"), js("task/" + id));
    EXPECT_EQ(text(call("GET", "/api/projects/" + project_), "repository_url"), repository);

    const auto input = take_input(worker_of(create));
    EXPECT_EQ(text(input, "prompt"), spec);
    EXPECT_EQ(input.at("timeout"), 77);
    const auto running = wait_task(id, "running");
    EXPECT_EQ(running.at("task_metadata").at("worker_id"), js(worker_of(create)));

    develop(input, {{"duration_ms", 1234},
                    {"commit_sha", "c0ffee"},
                    {"usage",
                     {{"input_tokens", 10},
                      {"output_tokens", 20},
                      {"cache_read_tokens", 3},
                      {"cache_write_tokens", 4},
                      {"turns", 2},
                      {"cost_usd", 0.5},
                      {"model", "m"}}}});
    accept_collect();
    EXPECT_EQ(text(accept_delete(), "worker_id"), worker_of(create));

    const auto done = wait_task(id, "completed");
    EXPECT_EQ(done.at("result").at("commit_sha"), "c0ffee");
    EXPECT_EQ(done.at("result").at("branch"), js("task/" + id));
    EXPECT_EQ(done.at("result").at("files_changed"), boost::json::array{"README.md"});
    EXPECT_EQ(done.at("result").at("usage").at("output_tokens"), 20);
    const auto rows = executions(id);
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].at("id"), input.at("request_id"));
    EXPECT_EQ(rows[0].at("status"), "success");
    EXPECT_EQ(rows[0].at("duration_ms"), 1234);
    EXPECT_EQ(rows[0].at("input_tokens"), 10);
    EXPECT_EQ(rows[0].at("model"), "m");
    EXPECT_EQ(rows[0].at("result_data").at("gateway").at("requests"), 7);

    const auto answer = next("asked");
    EXPECT_EQ(answer.at("request_id"), js(id));
    EXPECT_EQ(answer.at("status"), "success");
    EXPECT_EQ(answer.at("commit_sha"), "c0ffee");

    std::vector<std::string> steps;
    const auto progress = "task_progress:" + id;
    for (auto n = length(progress); n > 0; --n) steps.push_back(text(next(progress), "type"));
    EXPECT_EQ(steps.front(), "started");
    EXPECT_EQ(steps.back(), "completed");
    const auto life = redis_.command({"TTL", progress}).integer;
    EXPECT_GT(life, 6 * 24 * 3600);
    EXPECT_LE(life, 7 * 24 * 3600);
}

// Clients choose ids; UUIDs of version 7 that were made within a minute begin alike.
TEST_F(WorkflowTest, tasks_whose_ids_begin_alike_have_workers_of_their_own) {
    project_ = make_project();
    for (const std::string id : {"019ac001-1d7c-7a52-9b8e-0d4f0c1a2b3c", "019ac001-1d7c-7a53-9b8e-0d4f0c1a2b3c"}) {
        call("POST", "/api/tasks",
             {{"id", id},
              {"project_id", project_},
              {"type", "engineering"},
              {"spec", "do it"},
              {"task_metadata", {{"agent", "custom"}, {"agent_command", "true"}}}});
        enqueue(id);
        EXPECT_EQ(worker_of(accept_create()), "dev-" + id + "-1");
    }
}

TEST_F(WorkflowTest, repository_holds_one_commit_on_main_and_is_reused) {
    const auto id = make_task();
    enqueue(id);
    const auto create = command("create");
    const auto path = std::string(create.at("workspace").at("repo_url").as_string());
    const auto git = [&](std::vector<std::string> arguments) {
        process::Spec spec;
        spec.argv = {"git", "--git-dir", path};
        spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
        spec.environment = process::minimal_environment();
        auto outcome = run(io_, process::run(std::move(spec)));
        EXPECT_TRUE(outcome && outcome->ok()) << (outcome ? outcome->describe() : outcome.error().message);
        return outcome ? outcome->output : "";
    };
    EXPECT_EQ(git({"show", "main:README.md"}), "# shop\n");
    const auto log = git({"log", "--format=%H %an <%ae> %cn <%ce>", "--all"});
    EXPECT_EQ(log.substr(41),
              "Codegen Orchestrator <orchestrator@codegen.invalid> Codegen Orchestrator "
              "<orchestrator@codegen.invalid>\n");
    EXPECT_EQ(git({"symbolic-ref", "HEAD"}), "refs/heads/main\n");
    git({"fsck", "--strict"});

    const auto second = text(call("POST", "/api/tasks",
                                  {{"project_id", project_},
                                   {"type", "engineering"},
                                   {"spec", "more"},
                                   {"task_metadata", {{"agent", "custom"}, {"agent_command", "true"}}}}),
                             "id");
    enqueue(second);
    EXPECT_EQ(command("create").at("workspace").at("repo_url"), js(path));
    EXPECT_EQ(git({"log", "--format=%H %an <%ae> %cn <%ce>", "--all"}), log);
}

struct FailureCase {
    std::string name;
    boost::json::object output;     // of the developer
    boost::json::object collected;  // empty: no collect is asked for
    std::string reason;
    std::string execution;
};
class WorkflowFailure : public WorkflowTest, public ::testing::WithParamInterface<FailureCase> {
  protected:
    WorkflowFailure() { options_.policy.retries.clear(); }
};

TEST_P(WorkflowFailure, is_told_with_its_reason) {
    const auto& param = GetParam();
    const auto id = make_task();
    enqueue(id);
    const auto create = accept_create();
    develop(take_input(worker_of(create)), param.output);
    if (!param.collected.empty()) accept_collect(param.collected);
    EXPECT_EQ(text(accept_delete(), "worker_id"), worker_of(create));
    const auto done = wait_task(id, "failed");
    EXPECT_EQ(done.at("result").at("reason"), js(param.reason));
    EXPECT_FALSE(text(done, "error_message").empty());
    ASSERT_EQ(executions(id).size(), 1u);
    EXPECT_EQ(executions(id)[0].at("status"), js(param.execution));
}

boost::json::object reported(std::string status, std::string reason) {
    return {{"status", status}, {"reason", reason}, {"error", "why"}, {"verdict", nullptr}};
}
boost::json::object uncollected(std::string reason) {
    return {{"success", false}, {"commit_sha", nullptr}, {"commits", 0}, {"reason", reason}, {"error", "why"}};
}

INSTANTIATE_TEST_SUITE_P(
    Reasons, WorkflowFailure,
    ::testing::Values(
        FailureCase{"killed", reported("error", "killed"), {}, "killed", "error"},
        FailureCase{"out_of_memory", reported("error", "out_of_memory"), {}, "out_of_memory", "error"},
        FailureCase{"timeout", reported("timeout", "timeout"), {}, "timeout", "error"},
        FailureCase{"provider_error", reported("failed", "provider_error"), {}, "provider_error", "error"},
        FailureCase{"budget", reported("failed", "budget"), {}, "budget", "error"},
        FailureCase{"infrastructure", reported("error", "infrastructure"), {}, "infrastructure", "error"},
        FailureCase{"no_verdict", {{"verdict", nullptr}}, {}, "no_verdict", "error"},
        FailureCase{
            "in_progress", {{"verdict", {{"status", "in_progress"}, {"summary", "s"}}}}, {}, "no_verdict", "error"},
        FailureCase{"agent_failure",
                    {{"verdict", {{"status", "failure"}, {"summary", "cannot"}}}},
                    {},
                    "agent_failure",
                    "failure"},
        FailureCase{
            "no_commit", {{"status", "success"}}, {{"commit_sha", nullptr}, {"commits", 0}}, "no_commit", "error"},
        FailureCase{
            "commit_missing", {{"commit_sha", "dead"}}, uncollected("commit_missing"), "commit_missing", "error"},
        FailureCase{
            "commit_rejected", {{"status", "success"}}, uncollected("commit_rejected"), "commit_rejected", "error"}),
    [](const auto& info) { return info.param.name; });

TEST_F(WorkflowTest, refused_worker) {
    const auto id = make_task();
    enqueue(id);
    const auto create = command("create");
    send("worker:responses:developer",
         {{"request_id", create.at("request_id")}, {"success", false}, {"error", "no_capacity: 0 of 4 slots free"}});
    const auto done = wait_task(id, "failed");
    EXPECT_EQ(done.at("result").at("reason"), "no_capacity");
    EXPECT_EQ(length("worker:commands"), 1) << "a refused worker is not deleted";
    EXPECT_TRUE(executions(id).empty());
}

TEST_F(WorkflowTest, duplicate_and_stale_results_have_no_effect) {
    const auto id = make_task();
    enqueue(id);
    enqueue(id);  // the message twice
    const auto create = accept_create();
    const auto input = take_input(worker_of(create));
    auto stale = input;
    stale["request_id"] = "5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c";
    develop(stale, {{"verdict", {{"status", "failure"}, {"summary", "not mine"}}}});
    send("worker:responses:developer",
         {{"request_id", create.at("request_id")}, {"success", false}, {"error", "again"}});  // answered before
    develop(input);
    develop(input);
    accept_collect();
    develop(input, {{"status", "error"}, {"reason", "killed"}});
    accept_delete();
    wait_task(id, "completed");
    develop(input, {{"status", "error"}, {"reason", "killed"}});
    EXPECT_TRUE(eventually([&] {
        const auto rows = run(io_, database_->query("SELECT count(*) AS n FROM workflow_inbox WHERE accepted = 0"));
        return rows && rows->rows[0].integer("n") == 5;
    }));
    EXPECT_EQ(text(task(id), "status"), "completed");
    EXPECT_EQ(executions(id).size(), 1u);
    EXPECT_EQ(length("worker:commands"), 3);
    EXPECT_EQ(redis_.command({"EXISTS", "worker:developer:output:dlq"}).integer, 0);
}

TEST_F(WorkflowTest, restarts_between_all_steps) {
    const auto id = make_task();
    stop();
    enqueue(id);
    start();
    const auto create = command("create");
    restart();
    // What was outstanding is sent again, with the same fence.
    EXPECT_EQ(command("create").at("request_id"), create.at("request_id"));
    stop();
    send("worker:responses:developer", {{"request_id", create.at("request_id")}, {"success", true}});
    start();
    const auto input = take_input(worker_of(create));
    stop();
    develop(input);
    start();
    boost::json::object message;
    do message = next("worker:commands");
    while (text(message, "command") == "create");
    EXPECT_EQ(text(message, "command"), "collect");
    restart();
    send("worker:responses:developer",
         {{"request_id", message.at("request_id")}, {"success", true}, {"commit_sha", "c0ffee"}, {"commits", 1}});
    do message = next("worker:commands");
    while (text(message, "command") != "delete");
    stop();
    send("worker:responses:developer", {{"request_id", message.at("request_id")}, {"success", true}});
    start();
    wait_task(id, "completed");
    EXPECT_EQ(executions(id).size(), 1u);
}

TEST_F(WorkflowTest, malformed_messages_are_dead_letters) {
    struct Case {
        std::string stream;
        std::string message;
        std::string path;
    };
    const std::string id = "5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c";
    const std::vector<Case> cases{
        {"engineering:queue", "not json", "JSON"},
        {"engineering:queue", R"({"project_id":"p","user_id":1})", "task_id"},
        {"engineering:queue", R"({"task_id":")" + id + R"(","project_id":"p","user_id":1})", id},  // 404
        {"worker:responses:developer", R"({"request_id":"r"})", "success"},
        {"worker:developer:output", R"({"task_id":"t","status":"splendid"})", "status"},
        {"workflow:commands", R"({"command":"dance","task_id":"t","user_id":1})", "command"},
        {"workflow:commands", R"({"command":"resume","task_id":"t","user_id":1})", "guidance"},
        {"workflow:commands", R"({"command":"cancel","task_id":")" + id + R"(","user_id":1})", id},  // 404
    };
    for (const auto& one : cases) {
        SCOPED_TRACE(one.stream + " " + one.message);
        send(one.stream, one.message);
        const auto letter = dead_letter(one.stream);
        EXPECT_EQ(letter.original, one.message);
        EXPECT_NE(text(letter.context, "error").find(one.path), std::string::npos) << text(letter.context, "error");
        EXPECT_EQ(text(letter.context, "category"), "permanent");
    }
    enqueue(make_task());  // the next good one is handled
    accept_create();
}

TEST_F(WorkflowTest, a_message_for_somebody_elses_task_is_a_dead_letter) {
    const auto id = make_task();
    enqueue(id, {{"user_id", 2}});
    EXPECT_NE(text(dead_letter("engineering:queue").context, "error").find("user"), std::string::npos);
    EXPECT_EQ(text(task(id), "status"), "queued");
}

TEST_F(WorkflowTest, cancel_before_during_and_after) {
    // Before: the queue entry never came.
    const auto early = make_task();
    send("workflow:commands", {{"command", "cancel"}, {"task_id", early}, {"user_id", 1}});
    EXPECT_EQ(wait_task(early, "cancelled").at("result").at("reason"), "cancelled");
    EXPECT_EQ(length("worker:commands"), 0);

    const auto id = make_task();
    enqueue(id);
    const auto create = accept_create();
    const auto input = take_input(worker_of(create));
    send("workflow:commands", {{"command", "cancel"}, {"task_id", id}, {"user_id", 2}});  // not theirs
    dead_letter("workflow:commands");
    send("workflow:commands", {{"command", "cancel"}, {"task_id", id}, {"user_id", 1}});
    EXPECT_EQ(text(accept_delete(), "worker_id"), worker_of(create));
    const auto done = wait_task(id, "cancelled");
    EXPECT_EQ(done.at("result").at("reason"), "cancelled");
    ASSERT_EQ(executions(id).size(), 1u);
    EXPECT_EQ(executions(id)[0].at("status"), "error");

    develop(input);  // too late
    send("workflow:commands", {{"command", "cancel"}, {"task_id", id}, {"user_id", 1}});
    send("workflow:commands", {{"command", "resume"}, {"task_id", id}, {"user_id", 1}, {"guidance", "go"}});
    EXPECT_TRUE(eventually(
        [&] { return redis_.command({"XPENDING", "workflow:commands", "workflow"}).elements[0].integer == 0; }));
    EXPECT_EQ(text(task(id), "status"), "cancelled");
    EXPECT_EQ(length("worker:commands"), 2);
}

TEST_F(WorkflowTest, blocked_task_waits_for_a_person) {
    const auto id = make_task();
    enqueue(id);
    const auto create = accept_create();
    develop(take_input(worker_of(create)),
            {{"verdict", {{"status", "failure"}, {"summary", "tabs or spaces?"}, {"data", {{"blocked", true}}}}}});
    EXPECT_TRUE(eventually([&] { return task(id).at("task_metadata").as_object().contains("waiting_for"); }));
    EXPECT_EQ(text(task(id), "status"), "running");
    EXPECT_EQ(text(task(id).at("task_metadata").as_object(), "question"), "tabs or spaces?");
    send("workflow:commands", {{"command", "resume"}, {"task_id", id}, {"user_id", 1}, {"guidance", "tabs"}});
    const auto again = accept_create();
    EXPECT_EQ(again.at("config"), create.at("config")) << "the same worker, so that one that lives is left as it is";
    EXPECT_EQ(again.at("workspace").at("resume"), true);
    const auto second = take_input(worker_of(create));
    EXPECT_EQ(text(second, "prompt"), "tabs");
    develop(second);
    accept_collect();
    accept_delete();
    EXPECT_FALSE(wait_task(id, "completed").at("task_metadata").as_object().contains("waiting_for"));
    EXPECT_EQ(executions(id).size(), 2u);
}

class SweptWorkflow : public WorkflowTest {
  protected:
    SweptWorkflow() { options_.sweeper.queued_for = 200ms; }
    std::size_t commands_kept() { return call("GET", "/api/workflow-commands").at("list").as_array().size(); }
};

TEST_F(SweptWorkflow, a_task_whose_queue_entry_is_lost_is_started) {
    const auto id = make_task();
    const auto create = accept_create();
    EXPECT_EQ(create.at("context").at("task_id"), js(id));
    wait_task(id, "running");
}

// What the command was told is taken stands in the API; the queue lost its entry, or never had it.
TEST_F(SweptWorkflow, a_cancel_that_redis_lost_is_obeyed) {
    stop();
    const auto id = make_task();
    const auto kept =
        call("POST", "/api/workflow-commands",
             {{"command", "cancel"}, {"task_id", id}, {"user_id", 1}, {"timestamp", "2026-01-10T12:00:00Z"}});
    send("workflow:commands", kept);
    redis_.command({"FLUSHALL"});
    start();
    EXPECT_EQ(wait_task(id, "cancelled").at("result").at("reason"), "cancelled");
    EXPECT_TRUE(eventually([&] { return commands_kept() == 0; })) << "until it is obeyed, no longer";
}

TEST_F(SweptWorkflow, a_resume_that_came_twice_answers_once) {
    const auto id = make_task();
    enqueue(id);
    const boost::json::object blocked{
        {"verdict", {{"status", "failure"}, {"summary", "tabs or spaces?"}, {"data", {{"blocked", true}}}}}};
    const auto create = accept_create();
    develop(take_input(worker_of(create)), blocked);
    const auto waits = [&] { return task(id).at("task_metadata").as_object().contains("waiting_for"); };
    EXPECT_TRUE(eventually(waits));
    const boost::json::object resume{
        {"command", "resume"}, {"task_id", id}, {"user_id", 1}, {"request_id", new_uuid()}, {"guidance", "tabs"}};
    const auto kept = call("POST", "/api/workflow-commands", resume);
    accept_create();
    develop(take_input(worker_of(create)), blocked);
    EXPECT_TRUE(eventually([&] { return waits() && commands_kept() == 0; }));
    // Its queue entry comes late, and the API has it once more: said once already.
    send("workflow:commands", kept);
    call("POST", "/api/workflow-commands", kept);
    EXPECT_TRUE(eventually([&] {
        return commands_kept() == 0 && length("workflow:commands") == 1 &&
               redis_.command({"XPENDING", "workflow:commands", "workflow"}).elements[0].integer == 0;
    }));
    EXPECT_TRUE(waits());
    EXPECT_EQ(executions(id).size(), 2u);
}

// One that can never be obeyed is not asked for again and again.
TEST_F(SweptWorkflow, a_command_that_is_refused_is_forgotten) {
    const auto id = make_task();
    call("POST", "/api/workflow-commands", {{"command", "resume"}, {"task_id", id}, {"user_id", 1}});
    EXPECT_TRUE(eventually([&] { return commands_kept() == 0; }));
}

class ImpatientWorkflow : public WorkflowTest {
  protected:
    ImpatientWorkflow() {
        options_.timings.create_worker = 300ms;
        options_.timings.develop_grace = 100ms;
        options_.timings.collect = 300ms;
        options_.timings.remove_worker = 300ms;
        options_.timings.give_back = 300ms;
        options_.timings.resend = 100ms;
    }
};

TEST_F(ImpatientWorkflow, a_silent_manager_does_not_hold_up_the_truth) {
    const auto id = make_task();
    enqueue(id);
    const auto done = wait_task(id, "failed");  // no create is ever answered, nor the delete
    EXPECT_EQ(done.at("result").at("reason"), "infrastructure");
    // The removal is asked for until it is answered.
    boost::json::object message;
    do message = next("worker:commands");
    while (text(message, "command") != "delete");
    send("worker:responses:developer", {{"request_id", message.at("request_id")}, {"success", true}});
    EXPECT_TRUE(eventually([&] {
        const auto rows = run(io_, database_->query("SELECT node FROM workflow_runs"));
        return rows && rows->rows[0].text("node") == "done";
    }));
}

TEST_F(ImpatientWorkflow, a_silent_developer_times_out) {
    options_.timings.create_worker = 30s;
    options_.timings.remove_worker = 30s;
    restart();
    const auto id = make_task({{"agent", "custom"}, {"agent_command", "true"}, {"timeout", 1}});
    enqueue(id);
    accept_create();
    boost::json::object message;
    do message = next("worker:commands");
    while (text(message, "command") != "delete");
    send("worker:responses:developer", {{"request_id", message.at("request_id")}, {"success", true}});
    EXPECT_EQ(wait_task(id, "failed").at("result").at("reason"), "timeout");
}

class ForgetfulRedis : public WorkflowTest {
  protected:
    void lose_everything() {
        redis_.command({"FLUSHALL"});
        positions_.clear();
    }
};

TEST_F(ForgetfulRedis, a_run_survives_the_loss_of_all_data_at_every_wait) {
    const auto id = make_task();
    enqueue(id);
    auto create = command("create");
    lose_everything();
    EXPECT_EQ(command("create").at("request_id"), create.at("request_id")) << "sent again at once";
    send("worker:responses:developer", {{"request_id", create.at("request_id")}, {"success", true}});
    const auto input = take_input(worker_of(create));
    lose_everything();
    EXPECT_EQ(take_input(worker_of(create)).at("request_id"), input.at("request_id"));
    develop(input);
    const auto collect = command("collect");
    lose_everything();
    EXPECT_EQ(command("collect").at("request_id"), collect.at("request_id"));
    send("worker:responses:developer",
         {{"request_id", collect.at("request_id")}, {"success", true}, {"commit_sha", "c0ffee"}, {"commits", 1}});
    const auto removal = command("delete");
    lose_everything();
    EXPECT_EQ(command("delete").at("request_id"), removal.at("request_id"));
    send("worker:responses:developer", {{"request_id", removal.at("request_id")}, {"success", true}});
    wait_task(id, "completed");
    EXPECT_EQ(executions(id).size(), 1u);
}

TEST_F(WorkflowTest, consumed_streams_are_the_ones_it_reads) {
    EXPECT_TRUE(eventually([&] {
        for (const auto& consumed : Service::consumed_streams())
            if (redis_.command({"EXISTS", consumed.stream}).integer == 0) return false;
        return true;
    }));
    for (const auto& consumed : Service::consumed_streams()) {
        const auto groups = redis_.command({"XINFO", "GROUPS", consumed.stream});
        ASSERT_EQ(groups.elements.size(), 1u) << consumed.stream;
        EXPECT_EQ(groups.elements[0].elements[1].text, consumed.group);
    }
}

}  // namespace
}  // namespace codegen::workflow::testing
