// Runs of projects that have no code base yet: the test is the scaffolder.
#include "services/workflow/workflow_fixture.hpp"

namespace codegen::workflow::testing {
namespace {

class WorkflowScaffolding : public WorkflowTest {
  protected:
    WorkflowScaffolding() { options_.scaffolding.served = true; }

    void scaffolded(const boost::json::object& message, boost::json::object more = {}) {
        boost::json::object result{{"request_id", message.at("request_id")},
                                   {"project_id", message.at("project_id")},
                                   {"status", "success"},
                                   {"repo_url", "/somewhere/" + project_ + ".git"}};
        for (const auto& [name, value] : more) result[name] = value;
        send("scaffolder:results", result);
    }
    void has_code() {
        call("PATCH", "/api/projects/" + project_,
             {{"status", "scaffolded"}, {"repository_url", "/somewhere/" + project_ + ".git"}});
    }
    void expect_infrastructure(const std::string& id, const std::string& said) {
        const auto failed = wait_task(id, "failed");
        EXPECT_EQ(failed.at("result").at("reason"), "infrastructure");
        EXPECT_NE(text(failed, "error_message").find(said), std::string::npos) << text(failed, "error_message");
    }
};

TEST_F(WorkflowScaffolding, a_run_waits_for_the_code_base_and_uses_it) {
    const auto id = make_task();
    enqueue(id);
    const auto message = next("scaffolder:queue");
    EXPECT_EQ(text(message, "project_id"), project_);
    EXPECT_EQ(text(message, "project_name"), "shop");
    EXPECT_EQ(message.at("modules"), boost::json::array{"backend"});
    // Of somebody else's request about the same project.
    scaffolded(message, {{"request_id", project_}});
    // A worker is made only when ours is answered, also after a restart.
    restart();
    const auto again = next("scaffolder:queue");
    EXPECT_EQ(again.at("request_id"), message.at("request_id"));
    EXPECT_FALSE(next_entry("worker:commands", 300ms));
    has_code();
    scaffolded(again);
    const auto create = command("create");
    EXPECT_EQ(create.at("workspace").at("repo_url"), js("/somewhere/" + project_ + ".git"));
}

TEST_F(WorkflowScaffolding, a_failure_ends_the_task_with_what_happened) {
    const auto id = make_task();
    enqueue(id);
    scaffolded(next("scaffolder:queue"), {{"status", "failed"}, {"error", "the template asks \"region\""}});
    expect_infrastructure(id, "scaffold the project: the template asks \"region\"");
}

TEST_F(WorkflowScaffolding, a_deadline_ends_the_wait) {
    stop();
    options_.timings.scaffold = 200ms;
    start();
    const auto id = make_task();
    enqueue(id);
    expect_infrastructure(id, "is a scaffolder running?");
}

TEST_F(WorkflowScaffolding, a_success_without_a_repository_is_none) {
    const auto id = make_task();
    enqueue(id);
    scaffolded(next("scaffolder:queue"));
    expect_infrastructure(id, "has no repository_url");
}

TEST_F(WorkflowScaffolding, a_cancel_ends_the_wait) {
    const auto id = make_task();
    enqueue(id);
    const auto message = next("scaffolder:queue");
    send("workflow:commands", {{"command", "cancel"}, {"task_id", id}, {"user_id", 1}});
    wait_task(id, "cancelled");
    has_code();
    scaffolded(message);
    EXPECT_FALSE(next_entry("worker:commands", 300ms));
}

// With Redis everything that was asked for is gone: the run's request and that of whoever made the project.
TEST_F(WorkflowScaffolding, a_redis_that_lost_everything_is_told_again) {
    const auto lonely = text(call("POST", "/api/projects", {{"name", "new"}, {"status", "scaffolding"}}), "id");
    const auto id = make_task();
    enqueue(id);
    const auto before = next("scaffolder:queue");
    redis_.wipe();
    positions_.clear();
    std::set<std::string> asked;
    EXPECT_TRUE(eventually([&] {
        if (const auto entry = next_entry("scaffolder:queue", 100ms))
            asked.insert(text(boost::json::parse(*entry->field("data")).as_object(), "request_id"));
        return asked.contains(text(before, "request_id")) && asked.contains(lonely);
    }));
}

TEST_F(WorkflowScaffolding, a_lost_message_is_sent_again) {
    stop();
    options_.scaffolding.resend = 100ms;
    options_.scaffolding.interval = 20ms;
    start();
    const auto lonely = text(call("POST", "/api/projects", {{"name", "new"}, {"status", "scaffolding"}}), "id");
    const auto message = next("scaffolder:queue");
    EXPECT_EQ(text(message, "project_id"), lonely);
    EXPECT_EQ(text(message, "request_id"), lonely);
    // Whoever has a code base is left in peace.
    call("PATCH", "/api/projects/" + lonely, {{"status", "scaffolded"}});
    EXPECT_TRUE(eventually([&] { return !next_entry("scaffolder:queue", 300ms); }));
}

// Nobody runs one: known by asking Redis, as every role that serves alone does.
TEST_F(WorkflowScaffolding, without_a_scaffolder_a_project_begins_with_a_readme) {
    stop();
    options_.scaffolding.served.reset();
    options_.scaffolding.patience = 300ms;
    start();
    const auto id = make_task();
    enqueue(id);
    EXPECT_EQ(command("create").at("workspace").at("repo_url"),
              js((directory_ / "repositories" / (project_ + ".git")).string()));

    project_ = text(call("POST", "/api/projects", {{"name", "waits"}, {"status", "scaffolding"}}), "id");
    const auto waits = text(call("POST", "/api/tasks",
                                 {{"project_id", project_},
                                  {"type", "engineering"},
                                  {"spec", "x"},
                                  {"task_metadata", {{"agent", "custom"}, {"agent_command", "true"}}}}),
                            "id");
    enqueue(waits);
    EXPECT_EQ(command("create").at("workspace").at("repo_url"),
              js((directory_ / "repositories" / (project_ + ".git")).string()));
    EXPECT_EQ(length("scaffolder:queue"), 0);
}

TEST_F(WorkflowScaffolding, a_scaffolder_that_appears_is_waited_for) {
    stop();
    options_.scaffolding.served.reset();
    options_.scaffolding.patience = 30s;
    start();
    const auto id = make_task();
    call("PATCH", "/api/projects/" + project_, {{"status", "scaffolding"}});
    enqueue(id);
    wait_task(id, "running");
    redis_.command({"XGROUP", "CREATE", "scaffolder:queue", "scaffolder", "0", "MKSTREAM"});
    redis_.command({"XGROUP", "CREATECONSUMER", "scaffolder:queue", "scaffolder", "one"});
    EXPECT_EQ(text(next("scaffolder:queue"), "project_id"), project_);
}

}  // namespace
}  // namespace codegen::workflow::testing
