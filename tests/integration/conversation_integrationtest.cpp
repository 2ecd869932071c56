// What happens to a task between its agent's first word and its end: the project's own tests, a person's answer,
// another attempt. All of it through the two commands, on both runtimes.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace json = boost::json;
using namespace std::chrono_literals;

// Asks the first time; the second time it commits what it was told.
const std::string kAsksOnce =
    "if [ ! -e asked ]; then touch asked; echo memory > ~/memory; orchestrator result --status failure --summary 'tabs "
    "or "
    "spaces?' --data '{\"blocked\":true}'; else cat > answer.txt; cp ~/memory memory.txt; rm asked; " +
    kCommitAndReport + "; fi";

class Conversation : public OnEachRuntime {
  protected:
    static std::string project_with_tests(ControlPlane& plane, const std::string& command) {
        const auto made = plane.orchestrator({"project", "create", "--name", "p", "--test-command", command});
        EXPECT_EQ(made.exit_code, 0) << made.output << made.errors;
        return made.json().at("data").at("id").as_string().c_str();
    }
    static std::string file_of(ControlPlane& plane, const std::string& project, const json::object& record,
                               const std::string& file) {
        const std::string commit = record.at("result").at("commit_sha").as_string().c_str();
        return plane
            .run({"git", "-C", (plane.state() / "repositories" / (project + ".git")).string(), "show",
                  commit + ":" + file})
            .output;
    }
    static json::object wait_until_it_asks(ControlPlane& plane, const std::string& task) {
        json::object record;
        eventually(
            "the task waits for a person",
            [&] {
                record = plane.task(task);
                return record.at("task_metadata").as_object().contains("waiting_for");
            },
            90s);
        return record;
    }
    static bool has_body(ControlPlane& plane, const std::string& worker) {
        return std::filesystem::exists(plane.worker_directory(worker));
    }
    static bool keeps_something(ControlPlane& plane) {
        std::error_code error;
        return !std::filesystem::is_empty(plane.state() / "kept", error) && !error;
    }
};

TEST_P(Conversation, RedTestsGoBackToTheDeveloperUntilTheyAreGreen) {
    ControlPlane plane({.runtime = runtime()});
    const auto project = project_with_tests(plane, "test -e ok || { echo 'ok is missing'; exit 7; }");
    // The second time it does what the tests want, and keeps what it was told.
    const auto task = plane.start_task(
        project,
        "if [ -e tried ]; then cat > told.txt; touch ok; else cat > spec.txt; touch tried; fi; " + kCommitAndReport,
        "make it");
    const auto record = plane.wait_for_end(task, 180s);
    ASSERT_EQ(record.at("status").as_string(), "completed") << json::serialize(record);
    const auto& tests = record.at("result").at("tests").as_object();
    EXPECT_EQ(tests.at("status").as_string(), "passed");
    EXPECT_EQ(tests.at("runs").to_number<int>(), 2);
    EXPECT_EQ(file_of(plane, project, record, "spec.txt"), "make it");
    const auto told = file_of(plane, project, record, "told.txt");
    EXPECT_TRUE(told.contains("ok is missing")) << told;
    EXPECT_TRUE(told.contains("exit code 7")) << told;
    EXPECT_EQ(record.at("result").at("commits").to_number<int>(), 2);
    int green = 0;
    int red = 0;
    for (const auto& row : plane.api("/api/task-executions?task_id=" + task).as_array()) {
        if (!row.at("result_data").as_object().contains("kind")) continue;
        (row.at("status").as_string() == "success" ? green : red) += 1;
    }
    EXPECT_EQ(green, 1);
    EXPECT_EQ(red, 1);
    EXPECT_TRUE(plane.orchestrator({"engineering", "status", task, "--text"}).output.contains("passed: test -e ok"));
    EXPECT_FALSE(keeps_something(plane));
    EXPECT_FALSE(has_body(plane, "dev-" + task + "-1"));
    EXPECT_FALSE(has_body(plane, "test-" + task + "-2"));
}

TEST_P(Conversation, TestsThatStayRedFailTheTaskAndTheirOutputSaysWhy) {
    ControlPlane plane({.runtime = runtime(), .environment = {{"TEST_RETURNS", "1"}, {"TEST_TIMEOUT", "2"}}});
    const auto mark = "6" + std::to_string(::getpid()) + "7";
    const auto project = project_with_tests(plane, "echo begun; sleep " + mark);
    const auto task = plane.start_task(project, "date +%N > x; " + kCommitAndReport);
    const auto record = plane.wait_for_end(task, 180s);
    ASSERT_EQ(record.at("status").as_string(), "failed") << json::serialize(record);
    EXPECT_EQ(plane.reason(record), "agent_failure");
    EXPECT_TRUE(json::serialize(record.at("error_message")).contains("2 s")) << json::serialize(record);
    EXPECT_EQ(record.at("result").at("tests").at("runs").to_number<int>(), 2);
    EXPECT_TRUE(record.at("result").as_object().contains("commit_sha")) << "what there is can be looked at";
    EXPECT_TRUE(processes_with("sleep " + mark).empty());
    EXPECT_FALSE(keeps_something(plane));
}

TEST_P(Conversation, APersonAnswersAndTheAgentGoesOnWhereItWas) {
    ControlPlane plane({.runtime = runtime()});
    const auto project = plane.create_project("p");
    const auto task = plane.start_task(project, kAsksOnce);
    const auto asking = wait_until_it_asks(plane, task);
    EXPECT_EQ(asking.at("status").as_string(), "running");
    EXPECT_EQ(asking.at("task_metadata").at("question").as_string(), "tabs or spaces?");
    EXPECT_TRUE(plane.orchestrator({"engineering", "status", task, "--text"}).output.contains("tabs or spaces?"));
    const auto resumed = plane.orchestrator({"engineering", "resume", task, "--guidance", "tabs"});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.output << resumed.errors;
    const auto record = plane.wait_for_end(task);
    ASSERT_EQ(record.at("status").as_string(), "completed") << json::serialize(record);
    EXPECT_EQ(file_of(plane, project, record, "answer.txt"), "tabs");
    EXPECT_EQ(file_of(plane, project, record, "memory.txt"), "memory\n");
    EXPECT_EQ(plane.api("/api/task-executions?task_id=" + task).as_array().size(), 2u);
    EXPECT_NE(plane.orchestrator({"engineering", "resume", task, "--guidance", "again"}).exit_code, 0);
}

TEST_P(Conversation, AnAnswerThatComesAfterTheBodyWasGivenBackAndTheControlPlaneRestarted) {
    ControlPlane plane({.runtime = runtime(), .environment = {{"BLOCKED_WORKER", "1"}}});
    const auto project = plane.create_project("p");
    const auto task = plane.start_task(project, kAsksOnce);
    const auto worker = "dev-" + task + "-1";
    wait_until_it_asks(plane, task);
    ASSERT_TRUE(
        eventually("the body is given back", [&] { return !has_body(plane, worker) && keeps_something(plane); }));
    plane.stop();
    plane.start();
    EXPECT_EQ(plane.task(task).at("status").as_string(), "running");
    ASSERT_EQ(plane.orchestrator({"engineering", "resume", task, "--guidance", "spaces"}).exit_code, 0);
    const auto record = plane.wait_for_end(task);
    ASSERT_EQ(record.at("status").as_string(), "completed") << json::serialize(record);
    EXPECT_EQ(file_of(plane, project, record, "answer.txt"), "spaces");
    EXPECT_EQ(file_of(plane, project, record, "memory.txt"), "memory\n") << "the agent's home came back too";
    EXPECT_FALSE(keeps_something(plane));
    EXPECT_FALSE(has_body(plane, worker));
}

TEST_P(Conversation, CancelOfATaskThatWaitsRemovesWhatWasKept) {
    ControlPlane plane({.runtime = runtime(), .environment = {{"BLOCKED_WORKER", "1"}}});
    const auto task = plane.start_task(plane.create_project("p"), kAsksOnce);
    wait_until_it_asks(plane, task);
    ASSERT_TRUE(eventually("the body is given back", [&] { return keeps_something(plane); }));
    ASSERT_EQ(plane.orchestrator({"engineering", "cancel", task}).exit_code, 0);
    const auto record = plane.wait_for_end(task);
    EXPECT_EQ(record.at("status").as_string(), "cancelled");
    EXPECT_FALSE(record.at("task_metadata").as_object().contains("waiting_for"));
    EXPECT_FALSE(keeps_something(plane));
}

TEST_P(Conversation, AnAttemptThatRanOutOfMemoryIsRepeatedWithMore) {
    const bool limited = runtime() != "ordinary";  // which has no cgroup: one attempt is enough
    ControlPlane plane(
        {.runtime = runtime(), .environment = {{"WORKER_MEMORY_LIMIT", "64m"}, {"WORKER_MEMORY_CAP", "256m"}}});
    const auto task =
        plane.start_task(plane.create_project("p"),
                         "head -c 80M /dev/zero | tail -c 80M >/dev/null && echo x > x && " + kCommitAndReport);
    const auto record = plane.wait_for_end(task, 180s);
    ASSERT_EQ(record.at("status").as_string(), "completed") << json::serialize(record);
    if (!limited) {
        EXPECT_FALSE(record.at("result").as_object().contains("attempts"));
        return;
    }
    EXPECT_EQ(record.at("result").at("attempts").to_number<int>(), 2);
    EXPECT_EQ(record.at("result").at("retries").at("out_of_memory").to_number<int>(), 1);
    const auto rows = plane.api("/api/task-executions?task_id=" + task).as_array();
    ASSERT_EQ(rows.size(), 2u);
    const auto& first = rows[rows[0].at("status").as_string() == "success" ? 1 : 0];
    EXPECT_EQ(first.at("result_data").at("reason").as_string(), "out_of_memory");
}

CODEGEN_ON_EACH_RUNTIME_AS_ANYBODY(Conversation);

}  // namespace
}  // namespace codegen::testing
