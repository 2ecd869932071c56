// Acceptance C: how a task ends when its agent does not do what it claims, or does not end by itself.
#include <gtest/gtest.h>

#include "shared/base/ids.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/direct_worker.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
using namespace std::chrono_literals;

class Failures : public OnEachRuntime {
  protected:
    // Runs one task with `command` and returns its reason; the task must have failed.
    std::string reason_of(ControlPlane& plane, const std::string& command, std::vector<std::string> more = {}) {
        const auto task = plane.start_task(plane.create_project("p"), command, "x", std::move(more));
        const auto record = plane.wait_for_end(task);
        EXPECT_EQ(record.at("status").as_string(), "failed") << boost::json::serialize(record);
        last_ = boost::json::serialize(record);
        const auto executions = plane.api("/api/task-executions?task_id=" + task).as_array();
        EXPECT_EQ(executions.size(), 1u) << "exactly one result row";
        return plane.reason(record);
    }
    std::string last_;
};

TEST_P(Failures, AKilledBodyEndsTheTaskWithinFiveSeconds) {
    ControlPlane plane({.runtime = runtime()});
    const auto mark = "3" + std::to_string(::getpid()) + "001";
    const auto task = plane.start_task(plane.create_project("p"), "sleep " + mark);
    const auto worker = plane.wait_for_worker(task);
    ASSERT_TRUE(eventually("the agent runs", [&] { return !processes_with("sleep " + mark).empty(); }));
    plane.kill_body(worker);
    const auto record = plane.wait_for_end(task, 5s);
    EXPECT_EQ(record.at("status").as_string(), "failed");
    EXPECT_EQ(plane.reason(record), "killed") << boost::json::serialize(record);
    eventually("the agent is gone as well", [&] { return processes_with("sleep " + mark).empty(); }, 5s);
}

TEST_P(Failures, APooledRequestOfAKilledWorkerIsAnsweredAndWhatItHadNotBegunIsDoneByAnother) {
    ControlPlane plane({.runtime = runtime()});
    const auto project = plane.create_project("p");
    const auto pooled = [&](const std::string& worker, const std::string& command) {
        auto config = direct_config(worker, {"bash", "-c", command});
        config["pool"] = true;
        const auto made = create_directly(plane, std::move(config));
        EXPECT_EQ(made.at("success"), true) << boost::json::serialize(made);
    };
    const auto ask = [&](const std::string& prompt) {
        const auto request = new_uuid();
        plane.redis({"XADD", "worker:developer:input", "*", "request_id", request, "task_id", new_uuid(), "project_id",
                     project, "prompt", prompt, "timeout", "60"});
        return request;
    };
    const auto first = direct_name();
    pooled(first, "touch begun; sleep 600");
    const auto begun = ask("one");
    ASSERT_TRUE(eventually("the agent runs", [&] {
        return std::filesystem::exists(plane.worker_directory(first) / "workspace" / "begun");
    }));
    // As if Redis had handed it to the worker in the moment of its death.
    const auto taken = ask("two");
    plane.redis(
        {"XREADGROUP", "GROUP", "developer-workers", first, "COUNT", "1", "STREAMS", "worker:developer:input", ">"});
    plane.kill_body(first);
    EXPECT_EQ(direct_answer(plane, "worker:developer:output", begun).at("reason"), "killed");
    pooled(direct_name(), "orchestrator result --status success --summary done");
    EXPECT_EQ(direct_answer(plane, "worker:developer:output", taken).at("status"), "success");
    EXPECT_EQ(plane.stream("worker:developer:output").size(), 2u) << "one result for each request";
}

TEST_P(Failures, OutOfMemory) {
    ControlPlane plane(
        {.runtime = runtime(), .environment = {{"WORKER_MEMORY_LIMIT", "64m"}, {"WORKER_MEMORY_CAP", "64m"}}});
    if (runtime() == "ordinary") {  // nobody delegated a cgroup to it
        EXPECT_TRUE(plane.log().contains("this host permits no cgroup for some limits of workers not_limited=\"memory"))
            << plane.log();
        return;
    }
    EXPECT_EQ(reason_of(plane, "head -c 700M /dev/zero | tail -c 600M >/dev/null"), "out_of_memory") << last_;
    EXPECT_TRUE(last_.contains("64")) << "the error names the limit: " << last_;
}

TEST_P(Failures, TimeoutLeavesNoProcessAlsoNotOneThatCalledSetsid) {
    ControlPlane plane({.runtime = runtime()});
    const auto mark = "4" + std::to_string(::getpid());
    EXPECT_EQ(reason_of(plane, "setsid sleep " + mark + "1 & (setsid sleep " + mark + "2 &) ; sleep " + mark + "3",
                        {"--timeout", "2"}),
              "timeout")
        << last_;
    EXPECT_TRUE(processes_with("sleep " + mark).empty());
}

TEST_P(Failures, VerdictsThatDoNotHold) {
    ControlPlane plane({.runtime = runtime()});
    const std::string report = "orchestrator result --status success --summary s ";
    const std::string commit = "echo x > x; git add x; git commit -qm x; ";
    EXPECT_EQ(reason_of(plane, commit), "no_verdict") << last_;
    EXPECT_EQ(reason_of(plane, "orchestrator result --status in_progress --summary s; " + commit), "no_verdict")
        << last_;
    EXPECT_EQ(reason_of(plane, report), "no_commit") << last_;
    EXPECT_EQ(reason_of(plane, commit + report + "--data '{\"commit_sha\":\"" + std::string(40, 'd') + "\"}'"),
              "commit_missing")
        << last_;
    EXPECT_EQ(reason_of(plane, report + "--data '{\"commit_sha\":\"'$(git rev-parse HEAD)'\"}'"), "no_commit") << last_;
    EXPECT_EQ(reason_of(plane, "orchestrator result --status failure --summary 'cannot'; " + commit), "agent_failure")
        << last_;
    EXPECT_EQ(reason_of(plane, commit + report + "; exit 3"), "agent_failure") << last_;
}

TEST_P(Failures, AVerdictNestedTooDeepIsRefusedAndHarmsNothing) {
    ControlPlane plane({.runtime = runtime()});
    auto nested = [](int levels) {
        std::string out;
        for (int i = 0; i < levels; ++i) out += "{\"a\":";
        return out + "1" + std::string(static_cast<std::size_t>(levels), '}');
    };
    const std::string commit = "echo x > x; git add x; git commit -qm x; ";
    const auto report = [&](int levels) {
        return commit + "orchestrator result --status success --summary s --data '" + nested(levels) + "'; true";
    };
    for (int levels : {33, 60, 100, 120}) EXPECT_EQ(reason_of(plane, report(levels)), "no_verdict") << last_;
    const auto task = plane.start_task(plane.create_project("p"), report(32));
    EXPECT_EQ(plane.wait_for_end(task).at("status").as_string(), "completed");
    EXPECT_GE(plane.api("/api/task-executions").as_array().size(), 5u) << "the list can still be read";
    EXPECT_THROW(plane.api("/api/projects", "POST", R"({"name":"deep","config":)" + nested(65) + "}"),
                 std::runtime_error);
    plane.api("/api/projects", "POST", R"({"name":"deep","config":)" + nested(64) + "}");
    EXPECT_GE(plane.api("/api/projects").as_array().size(), 2u);
}

TEST_P(Failures, AResultBlockInTheAgentsTextCounts) {
    ControlPlane plane({.runtime = runtime()});
    const auto task = plane.start_task(plane.create_project("p"),
                                       "echo x > x; git add x; git commit -qm x; "
                                       "echo '<result>{\"status\":\"success\",\"summary\":\"done\"}</result>'");
    EXPECT_EQ(plane.wait_for_end(task).at("status").as_string(), "completed");
}

TEST_P(Failures, CancelStopsTheAgent) {
    ControlPlane plane({.runtime = runtime()});
    const auto mark = "5" + std::to_string(::getpid()) + "1";
    const auto task = plane.start_task(plane.create_project("p"), "sleep " + mark);
    plane.wait_for_worker(task);
    ASSERT_TRUE(eventually("the agent runs", [&] { return !processes_with("sleep " + mark).empty(); }));
    EXPECT_EQ(plane.orchestrator({"engineering", "cancel", task}).exit_code, 0);
    EXPECT_EQ(plane.wait_for_end(task).at("status").as_string(), "cancelled");
    eventually("the agent is gone", [&] { return processes_with("sleep " + mark).empty(); });
}

CODEGEN_ON_EVERY_RUNTIME(Failures);

}  // namespace
}  // namespace codegen::testing
