// Attempts, the project's tests, blocked agents and late askers, over the real wire and the real API.
#include "services/workflow/service.hpp"
#include "services/workflow/workflow_fixture.hpp"

namespace codegen::workflow::testing {
namespace {

class Attempts : public WorkflowTest {
  protected:
    Attempts() {
        options_.timings.retry_pause = 10ms;
        options_.timings.blocked_worker = 50ms;
    }
    // A task of a project whose tests are run by `command`.
    std::string make_tested_task(boost::json::value command) {
        const auto id = make_task();
        call("PATCH", "/api/projects/" + project_, {{"config", {{"test_command", command}}}});
        return id;
    }
    void resume(const std::string& id, std::string_view guidance) {
        send("workflow:commands", {{"command", "resume"}, {"task_id", id}, {"user_id", 1}, {"guidance", guidance}});
    }
    void block(const boost::json::object& input, boost::json::object more = {}) {
        more["verdict"] = {{"status", "failure"}, {"summary", "tabs or spaces?"}, {"data", {{"blocked", true}}}};
        develop(input, more);
    }
    void report_tests(const boost::json::object& create, int exit_code) {
        develop(
            take_input(worker_of(create)),
            {{"verdict",
              {{"status", "success"}, {"summary", "output: 2 of 3 passed"}, {"data", {{"exit_code", exit_code}}}}}});
    }
    std::int64_t runs() {
        const auto rows = run(io_, database_->query("SELECT count(*) AS n FROM workflow_runs"));
        return rows ? rows->rows[0].integer("n") : -1;
    }
};

TEST_F(Attempts, our_own_trouble_gets_a_second_worker) {
    const auto id = make_task();
    enqueue(id);
    const auto first = accept_create();
    develop(take_input(worker_of(first)),
            {{"status", "error"}, {"reason", "infrastructure"}, {"error", "why"}, {"verdict", nullptr}});
    EXPECT_EQ(text(accept_delete(), "worker_id"), worker_of(first));
    const auto second = accept_create();
    EXPECT_EQ(worker_of(second), "dev-" + id + "-2");
    develop(take_input(worker_of(second)));
    accept_collect();
    EXPECT_EQ(text(accept_delete(), "worker_id"), worker_of(second));
    const auto done = wait_task(id, "completed");
    EXPECT_EQ(done.at("result").at("attempts"), 2);
    EXPECT_EQ(done.at("result").at("retries").at("infrastructure"), 1);
    EXPECT_EQ(executions(id).size(), 2u);
    std::vector<std::string> steps;
    const auto progress = "task_progress:" + id;
    for (auto n = length(progress); n > 0; --n) steps.push_back(text(next(progress), "current_step"));
    EXPECT_NE(std::ranges::find(steps, "retry"), steps.end()) << "people see why it starts again";
}

TEST_F(Attempts, a_worker_of_an_earlier_attempt_that_comes_late_is_removed) {
    options_.timings.create_worker = 200ms;
    restart();
    const auto id = make_task();
    enqueue(id);
    const auto first = command("create");  // no answer in time
    accept_delete();
    const auto second = command("create");
    EXPECT_EQ(worker_of(second), "dev-" + id + "-2");
    send("worker:responses:developer",
         {{"request_id", first.at("request_id")}, {"success", true}, {"worker_id", worker_of(first)}});
    boost::json::object message;
    do message = next("worker:commands");
    while (text(message, "command") != "delete");
    EXPECT_EQ(text(message, "worker_id"), worker_of(first));
}

TEST_F(Attempts, the_projects_tests_decide) {
    const auto id = make_tested_task("make test");
    enqueue(id);
    const auto create = accept_create();
    EXPECT_TRUE(text(create.at("config").as_object(), "instructions").contains("make test"))
        << "the agent knows what its commit must pass";
    develop(take_input(worker_of(create)), {{"session_id", "0b9c5a3e-6f0d-4c39-9d5e-0a4b1c2d3e4f"}});
    accept_collect();
    EXPECT_EQ(accept_delete().at("keep_workspace"), true);

    const auto tester = accept_create();
    EXPECT_EQ(worker_of(tester), "test-" + id + "-1");
    EXPECT_EQ(tester.at("workspace").at("base_ref"), "c0ffee");
    EXPECT_EQ(tester.at("config").at("agent_type"), "custom");
    EXPECT_EQ(tester.at("config").at("command").as_array().back(), "make test");
    report_tests(tester, 2);
    EXPECT_EQ(text(accept_delete(), "worker_id"), worker_of(tester));

    const auto again = accept_create();
    EXPECT_EQ(again.at("config"), create.at("config"));
    EXPECT_EQ(again.at("workspace").at("resume"), true);
    EXPECT_EQ(again.at("context").at("session_id"), "0b9c5a3e-6f0d-4c39-9d5e-0a4b1c2d3e4f");
    const auto input = take_input(worker_of(create));
    EXPECT_TRUE(text(input, "prompt").contains("2 of 3 passed")) << text(input, "prompt");
    EXPECT_EQ(text(input, "session_id"), "0b9c5a3e-6f0d-4c39-9d5e-0a4b1c2d3e4f");
    develop(input);
    accept_collect({{"commit_sha", "decade"}, {"commits", 2}});
    accept_delete();
    const auto second = accept_create();
    EXPECT_EQ(second.at("workspace").at("base_ref"), "decade");
    report_tests(second, 0);
    accept_delete();
    EXPECT_EQ(text(accept_delete(), "worker_id"), worker_of(create)) << "what was kept goes at the end";

    const auto done = wait_task(id, "completed");
    EXPECT_EQ(done.at("result").at("commit_sha"), "decade");
    EXPECT_EQ(done.at("result").at("tests"),
              (boost::json::object{{"status", "passed"}, {"command", "make test"}, {"runs", 2}}));
    const auto rows = executions(id);
    ASSERT_EQ(rows.size(), 4u);
    int tests = 0;
    for (const auto& row : rows) {
        const auto& data = row.at("result_data").as_object();
        if (!data.contains("kind")) continue;
        ++tests;
        EXPECT_TRUE(row.at("status") == "success" || data.at("output") == "exit code 2\n2 of 3 passed");
    }
    EXPECT_EQ(tests, 2);
}

TEST_F(Attempts, a_test_command_that_is_no_text_is_named) {
    const auto id = make_tested_task(7);
    enqueue(id);
    const auto done = wait_task(id, "failed");
    EXPECT_TRUE(text(done, "error_message").contains("config.test_command")) << text(done, "error_message");
    EXPECT_TRUE(text(done, "error_message").contains("7"));
    EXPECT_EQ(length("worker:commands"), 0);
}

TEST_F(Attempts, a_blank_test_command_is_none) {
    const auto id = make_tested_task(" \n");
    enqueue(id);
    develop(take_input(worker_of(accept_create())));
    accept_collect();
    EXPECT_FALSE(accept_delete().contains("keep_workspace"));
    EXPECT_EQ(wait_task(id, "completed").at("result").at("tests").at("status"), "none");
}

TEST_F(Attempts, a_blocked_agents_body_is_given_back_and_comes_again_with_the_answer) {
    const auto id = make_task();
    enqueue(id);
    const auto create = accept_create();
    block(take_input(worker_of(create)), {{"session_id", "0b9c5a3e-6f0d-4c39-9d5e-0a4b1c2d3e4f"}});
    EXPECT_EQ(accept_delete().at("keep_workspace"), true);
    const auto waits_for_ever = [&] {
        const auto rows = run(io_, database_->query("SELECT node, deadline FROM workflow_runs"));
        return rows && rows->rows[0].text("node") == "blocked" && !rows->rows[0].optional_integer("deadline");
    };
    EXPECT_TRUE(eventually(waits_for_ever));
    restart();
    EXPECT_EQ(text(task(id), "status"), "running");
    EXPECT_EQ(task(id).at("task_metadata").at("waiting_for"), "human");
    resume(id, "tabs");
    const auto again = accept_create();
    EXPECT_EQ(worker_of(again), worker_of(create));
    EXPECT_EQ(again.at("workspace").at("resume"), true);
    EXPECT_EQ(again.at("context").at("session_id"), "0b9c5a3e-6f0d-4c39-9d5e-0a4b1c2d3e4f");
    const auto input = take_input(worker_of(create));
    EXPECT_EQ(text(input, "prompt"), "tabs");
    develop(input);
    accept_collect();
    accept_delete();
    const auto done = wait_task(id, "completed");
    EXPECT_FALSE(done.at("task_metadata").as_object().contains("waiting_for"));
    EXPECT_EQ(executions(id).size(), 2u);
    EXPECT_EQ(runs(), 1);
}

TEST_F(Attempts, an_admin_may_cancel_and_a_stranger_may_not) {
    const auto owner = call("POST", "/api/users", {{"username", "owner"}}).at("id").as_int64();
    const auto stranger = call("POST", "/api/users", {{"username", "stranger"}}).at("id").as_int64();
    project_ = make_project();
    const auto id = text(call("POST", "/api/tasks",
                              {{"project_id", project_},
                               {"type", "engineering"},
                               {"spec", "x"},
                               {"user_id", owner},
                               {"task_metadata", {{"agent", "custom"}, {"agent_command", "true"}}}}),
                         "id");
    enqueue(id, {{"user_id", owner}});
    command("create");
    send("workflow:commands", {{"command", "cancel"}, {"task_id", id}, {"user_id", stranger}});
    EXPECT_TRUE(text(dead_letter("workflow:commands").context, "error").contains("belongs to user"));
    EXPECT_EQ(text(task(id), "status"), "running");
    send("workflow:commands", {{"command", "cancel"}, {"task_id", id}, {"user_id", 1}});
    accept_delete();
    wait_task(id, "cancelled");
}

TEST_F(Attempts, who_asked_hears_the_result_also_when_the_run_began_without_the_message) {
    options_.sweeper.queued_for = 0ms;
    restart();
    const auto early = make_task();
    const auto create = accept_create();  // the sweeper was faster
    enqueue(early, {{"callback_stream", "asked"}});
    enqueue(early, {{"callback_stream", "asked"}});
    develop(take_input(worker_of(create)));
    accept_collect();
    accept_delete();
    EXPECT_EQ(next("asked").at("request_id"), js(early));

    const auto late = make_task();
    const auto other = accept_create();
    develop(take_input(worker_of(other)));
    accept_collect();
    accept_delete();
    wait_task(late, "completed");
    EXPECT_TRUE(eventually([&] {
        const auto rows = run(io_, database_->query("SELECT 1 AS n FROM workflow_runs WHERE node <> 'done'"));
        return rows && rows->rows.empty();
    }));
    enqueue(late, {{"callback_stream", "asked late"}});
    enqueue(late, {{"callback_stream", "asked late"}});
    const auto answer = next("asked late");
    EXPECT_EQ(answer.at("status"), "success");
    EXPECT_EQ(answer.at("commit_sha"), "c0ffee");
    EXPECT_TRUE(eventually([&] {
        return redis_.command({"XPENDING", "engineering:queue", "capability-workers"}).elements[0].integer == 0;
    }));
    EXPECT_EQ(length("asked"), 1);
    EXPECT_EQ(length("asked late"), 1);
}

TEST_F(Attempts, forgotten_tasks_beyond_the_first_page_are_started) {
    stop();
    for (int i = 0; i < 5; ++i) make_task();
    options_.sweeper.queued_for = 0ms;
    options_.sweeper.page = 2;
    start();
    for (int i = 0; i < 5; ++i) command("create");
}

TEST_F(Attempts, ended_runs_are_forgotten_and_their_messages_start_nothing_new) {
    options_.sweeper.keep_runs = 0h;
    restart();
    const auto id = make_task();
    enqueue(id);
    develop(take_input(worker_of(accept_create())));
    accept_collect();
    accept_delete();
    wait_task(id, "completed");
    EXPECT_TRUE(eventually([&] { return runs() == 0; }));
    const auto commands = length("worker:commands");
    enqueue(id);
    EXPECT_TRUE(eventually([&] {
        return redis_.command({"XPENDING", "engineering:queue", "capability-workers"}).elements[0].integer == 0;
    }));
    EXPECT_EQ(runs(), 0);
    EXPECT_EQ(length("worker:commands"), commands);
    EXPECT_EQ(text(task(id), "status"), "completed");
}

TEST_F(Attempts, consumed_entries_and_half_made_repositories_are_cleaned_away) {
    const auto repositories = directory_ / "repositories";
    const auto old = repositories / ".5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c.abcdef";
    const auto young = repositories / ".5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c.fedcba";
    const auto foreign = repositories / ".of-somebody-else";
    for (const auto& path : {old, young, foreign}) std::filesystem::create_directories(path / "objects");
    const auto yesterday = std::filesystem::file_time_type::clock::now() - 24h;
    for (const auto& path : {old, foreign}) std::filesystem::last_write_time(path, yesterday);
    options_.upkeep.interval = 50ms;
    options_.upkeep.keep_entries = 0;
    restart();
    const auto id = make_task();
    enqueue(id);
    develop(take_input(worker_of(accept_create())));
    accept_collect();
    accept_delete();
    wait_task(id, "completed");
    EXPECT_TRUE(eventually([&] {
        for (const auto* stream : {"engineering:queue", "worker:responses:developer", "worker:developer:output"})
            if (length(stream) != 0) return false;
        return true;
    }));
    EXPECT_GT(length("worker:commands"), 0) << "the worker-manager's, who has not read them";
    EXPECT_FALSE(std::filesystem::exists(old));
    EXPECT_TRUE(std::filesystem::exists(young));
    EXPECT_TRUE(std::filesystem::exists(foreign));
}

}  // namespace
}  // namespace codegen::workflow::testing
