// What people do with workers: look at them, read them also after their end, enter them, delete them, cancel tasks.
#include <gmock/gmock.h>
#include <unistd.h>

#include <sstream>

#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class People : public OnEachRuntime {
  protected:
    static std::string worker_of(const std::string& task) { return "dev-" + task + "-1"; }
    static std::string text(const boost::json::value& envelope, const char* name) {
        const auto* data = envelope.as_object().if_contains("data");
        const auto* value = data && data->is_object() ? data->get_object().if_contains(name) : nullptr;
        return value && value->is_string() ? std::string(value->get_string()) : "";
    }
    // Once the agent says that it works.
    static void wait_for_file(ControlPlane& plane, const std::string& worker, const std::string& name) {
        eventually("the agent has written " + name,
                   [&] { return std::filesystem::exists(plane.worker_directory(worker) / "workspace" / name); });
    }
    static CommandResult exec(ControlPlane& plane, const std::string& worker, std::vector<std::string> argv,
                              std::vector<std::string> options = {}) {
        std::vector<std::string> arguments{"worker", "exec", worker, "--text"};
        std::ranges::move(options, std::back_inserter(arguments));
        arguments.emplace_back("--");
        std::ranges::move(argv, std::back_inserter(arguments));
        return plane.orchestrator(arguments);
    }
};

TEST_P(People, LogTranscriptAndOutputStayReadableAfterTheEndAndRedacted) {
    const std::string key = "people-canary-key-0123456789";
    const std::string token = "ghp_" + std::string(36, 'T');
    ControlPlane plane({.runtime = runtime(), .environment = {{"ANTHROPIC_API_KEY", key}}});
    const auto task = plane.start_task(plane.create_project("p"), "echo 'hello people'; echo " + key + "; echo " +
                                                                      token + " >&2; echo x > x; " + kCommitAndReport);
    ASSERT_EQ(plane.wait_for_end(task).at("status").as_string(), "completed");
    const auto worker = worker_of(task);
    eventually("the worker is gone", [&] { return !std::filesystem::exists(plane.worker_directory(worker)); });
    EXPECT_EQ(text(plane.orchestrator({"worker", "show", worker}).json(), "status"), "STOPPED");

    const auto log = plane.orchestrator({"worker", "logs", worker});
    EXPECT_EQ(log.exit_code, 0) << log.output;
    EXPECT_THAT(log.output, HasSubstr("run ended"));
    for (const auto* record : {"--transcript", "--output"}) {
        const auto shown = plane.orchestrator({"worker", "logs", worker, record});
        EXPECT_EQ(shown.exit_code, 0) << shown.output;
        EXPECT_THAT(shown.output, HasSubstr("hello people")) << record;
        EXPECT_THAT(shown.output, HasSubstr("[redacted]")) << record;
        EXPECT_THAT(shown.output, Not(HasSubstr(key))) << record;
        EXPECT_THAT(shown.output, Not(HasSubstr(token))) << record;
    }
    EXPECT_NE(plane.run({"grep", "-rqF", key, (plane.state() / "evidence").string()}).exit_code, 0);
    // The control plane that comes next shows it as well.
    plane.stop();
    plane.start();
    EXPECT_THAT(plane.orchestrator({"worker", "logs", worker, "--output"}).output, HasSubstr("hello people"));
}

TEST_P(People, ACommandRunsAsTheAgentInTheWorkspace) {
    ControlPlane plane({.runtime = runtime()});
    const auto task = plane.start_task(plane.create_project("p"), "id -u > me; touch begun; " + kWaitForGo);
    const auto worker = worker_of(task);
    wait_for_file(plane, worker, "begun");
    const auto who = exec(plane, worker, {"sh", "-c", "id -u; cat me; pwd; grep CapEff /proc/self/status"});
    EXPECT_EQ(who.exit_code, 0) << who.output << who.errors;
    std::istringstream lines(who.output);
    std::string uid;
    std::string of_agent;
    std::string place;
    lines >> uid >> of_agent >> place;
    EXPECT_EQ(uid, of_agent);
    EXPECT_NE(uid, "0");
    EXPECT_EQ(place, "/workspace");
    EXPECT_THAT(who.output, HasSubstr("0000000000000000")) << "no capability";
    EXPECT_EQ(exec(plane, worker, {"printf", "%s", "$HOME; id"}).output, "$HOME; id") << "no shell";
    EXPECT_EQ(exec(plane, worker, {"sh", "-c", "exit 7"}).exit_code, 7);
    EXPECT_EQ(exec(plane, worker, {"sleep", "600"}, {"--timeout", "1"}).exit_code, 6);
    EXPECT_THAT(exec(plane, worker, {"no-such-program"}).exit_code, ::testing::AnyOf(126, 127));
    EXPECT_EQ(exec(plane, worker, {"touch", "go"}).exit_code, 0);
    plane.wait_for_end(task);
    eventually("the worker is gone", [&] { return exec(plane, worker, {"true"}).exit_code == 1; });
    EXPECT_THAT(exec(plane, worker, {"true"}).errors, HasSubstr("STOPPED"));
}

TEST_P(People, ATranscriptIsFollowedToItsEnd) {
    ControlPlane plane({.runtime = runtime()});
    const auto task =
        plane.start_task(plane.create_project("p"), "echo first words; touch begun; " + kWaitForGo + "echo last words");
    const auto worker = worker_of(task);
    wait_for_file(plane, worker, "begun");
    const auto program = std::string(CODEGEN_BIN_DIR "/orchestrator");
    const auto followed = plane.run({"env", "CODEGEN_STATE_DIR=" + plane.state().string(), "bash", "-c",
                                     "\"$0\" worker logs \"$1\" --transcript --follow --text > \"$2\" & "
                                     "until grep -q 'first words' \"$2\" 2>/dev/null; do sleep 0.05; done; "
                                     "\"$0\" worker exec \"$1\" -- touch go >/dev/null; wait; cat \"$2\"",
                                     program, worker, (plane.state() / "followed.txt").string()});
    EXPECT_EQ(followed.exit_code, 0) << followed.errors;
    EXPECT_THAT(followed.output, HasSubstr("first words"));
    EXPECT_THAT(followed.output, HasSubstr("last words"));
}

TEST_P(People, AKilledBodyLeavesItsExitFactsAndRecords) {
    ControlPlane plane({.runtime = runtime()});
    const auto task = plane.start_task(plane.create_project("p"), "echo before the end; touch begun; sleep 600");
    const auto worker = worker_of(task);
    wait_for_file(plane, worker, "begun");
    plane.kill_body(worker);
    EXPECT_EQ(plane.wait_for_end(task).at("status").as_string(), "failed");
    eventually("the worker is gone", [&] { return !std::filesystem::exists(plane.worker_directory(worker)); });
    const auto shown = plane.orchestrator({"worker", "show", worker}).json().at("data");
    EXPECT_EQ(shown.at("ended"), true);
    EXPECT_EQ(shown.at("exit_code"), 137);
    EXPECT_EQ(shown.at("out_of_memory"), false);
    EXPECT_THAT(plane.orchestrator({"worker", "logs", worker, "--transcript"}).output, HasSubstr("before the end"));
}

TEST_P(People, AnAgentThatIgnoresItsEndCostsNoTaskItsResult) {
    ControlPlane plane({.runtime = runtime()});
    const auto mark = "6" + std::to_string(::getpid()) + "3";
    const auto task = plane.start_task(plane.create_project("p"), "trap '' TERM; touch begun; sleep " + mark);
    const auto worker = worker_of(task);
    wait_for_file(plane, worker, "begun");
    EXPECT_EQ(plane.orchestrator({"worker", "delete", worker}).exit_code, 0);
    EXPECT_TRUE(processes_with("sleep " + mark).empty());
    const auto record = plane.wait_for_end(task);
    EXPECT_EQ(plane.reason(record), "cancelled") << boost::json::serialize(record);
    // The wrapper had time for its own words.
    EXPECT_EQ(record.at("error_message"), "the worker was stopped") << boost::json::serialize(record);
    EXPECT_EQ(plane.api("/api/task-executions?task_id=" + task).as_array().size(), 1u) << "exactly one result row";
}

TEST_P(People, ADeletedWorkerIsGoneItsTaskEndsAndItsRecordsStay) {
    ControlPlane plane({.runtime = runtime()});
    const auto mark = "6" + std::to_string(::getpid()) + "2";
    const auto task = plane.start_task(plane.create_project("p"), "echo doomed; touch begun; sleep " + mark);
    const auto worker = worker_of(task);
    wait_for_file(plane, worker, "begun");
    const auto deleted = plane.orchestrator({"worker", "delete", worker});
    EXPECT_EQ(deleted.exit_code, 0) << deleted.output;
    EXPECT_TRUE(processes_with("sleep " + mark).empty());
    EXPECT_FALSE(std::filesystem::exists(plane.worker_directory(worker)));
    EXPECT_THAT(plane.orchestrator({"worker", "logs", worker, "--output"}).output, HasSubstr("doomed"));
    const auto status = plane.wait_for_end(task).at("status").as_string();
    EXPECT_TRUE(status == "failed" || status == "cancelled") << status;
    EXPECT_EQ(plane.orchestrator({"worker", "logs", "dev-00000000-1"}).exit_code, 4);
}

TEST_P(People, ATaskIsCancelledWhileItRunsWaitsForASlotOrIsOnlyQueued) {
    ControlPlane plane({.runtime = runtime(), .environment = {{"MAX_CONCURRENT_WORKERS", "1"}}});
    const auto project = plane.create_project("p");
    const auto mark = "7" + std::to_string(::getpid()) + "3";
    const auto running = plane.start_task(project, "touch begun; sleep " + mark);
    wait_for_file(plane, worker_of(running), "begun");
    const auto waiting = plane.start_task(project, "echo never");
    eventually("the second waits for a slot",
               [&] { return plane.redis({"HGET", "worker:status:" + worker_of(waiting), "status"}).text == "QUEUED"; });
    const auto cancel = [&](const std::string& task) {
        const auto asked = plane.orchestrator({"engineering", "cancel", task, "--text"});
        EXPECT_EQ(asked.exit_code, 0) << asked.errors;
        EXPECT_THAT(asked.output, HasSubstr("cancel of task " + task + " requested"));
        EXPECT_EQ(plane.wait_for_end(task).at("status").as_string(), "cancelled");
    };
    cancel(waiting);
    EXPECT_FALSE(processes_with("sleep " + mark).empty()) << "the other one goes on";
    cancel(running);
    eventually("its agent is gone", [&] { return processes_with("sleep " + mark).empty(); });
    // Stored only: nobody has taken it up yet.
    const auto queued =
        plane.api("/api/tasks", "POST",
                  boost::json::serialize(boost::json::object{
                      {"project_id", project}, {"type", "engineering"}, {"spec", "x"}, {"user_id", 1}}));
    cancel(std::string(queued.at("id").as_string()));
    const auto again = plane.orchestrator({"engineering", "cancel", running, "--text"});
    EXPECT_EQ(again.exit_code, 1);
    EXPECT_THAT(again.errors, HasSubstr("is cancelled already"));
    eventually("no worker is left",
               [&] { return plane.orchestrator({"worker", "list"}).json().at("data").as_array().empty(); });
}

CODEGEN_ON_EACH_RUNTIME(People);

}  // namespace
}  // namespace codegen::testing
