// Acceptance D: the control plane and its Redis may die at any moment; agents run on, tasks end once.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

class Restart : public OnEachRuntime {
  protected:
    // A task whose agent sleeps under a findable name until `go` and then commits.
    std::string start_waiting_task(ControlPlane& plane) {
        const auto task = plane.start_task(plane.create_project("p"), "exec -a " + mark_ + " bash -c \"" + kWaitForGo +
                                                                          "echo x > x; " + kCommitAndReport + "\"");
        worker_ = plane.wait_for_worker(task);
        eventually("the agent runs", [&] { return !agents().empty(); });
        return task;
    }
    std::vector<int> agents() const { return processes_with(mark_ + " -c"); }
    // The agent itself: a child that it forked but that has not run its own program yet looks the same.
    int agent() const {
        const auto pids = agents();
        return pids.empty() ? -1 : std::ranges::min(pids);
    }
    void let_go(ControlPlane& plane) { std::ofstream(plane.worker_directory(worker_) / "workspace" / "go") << "go"; }
    static void expect_completed_once(ControlPlane& plane, const std::string& task) {
        const auto record = plane.wait_for_end(task);
        EXPECT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record);
        EXPECT_EQ(plane.api("/api/task-executions?task_id=" + task).as_array().size(), 1u);
    }
    static int redis_pid(ControlPlane& plane) {
        for (int pid : processes_with("redis-server"))
            if (fs::exists("/proc/" + std::to_string(pid) + "/cwd") &&
                fs::read_symlink("/proc/" + std::to_string(pid) + "/cwd").string().starts_with(plane.state().string()))
                return pid;
        ADD_FAILURE() << "no private redis-server found";
        return -1;
    }
    // Kills the private Redis and deletes what it stored, in that order and before it is started again.
    static void destroy_redis(ControlPlane& plane) {
        const int pid = redis_pid(plane);
        for (const auto& entry : fs::directory_iterator(plane.state() / "redis"))
            if (entry.path().filename() == "appendonlydir" || entry.path().extension() == ".rdb")
                fs::remove_all(entry.path());
        ::kill(pid, SIGKILL);
        eventually("another redis-server answers", [&] {
            try {
                return plane.redis({"PING"}).text == "PONG" && redis_pid(plane) != pid;
            } catch (const std::exception&) {
                return false;
            }
        });
    }
    std::string mark_ = "waiting-agent-" + std::to_string(::getpid());
    std::string worker_;
};

TEST_P(Restart, KilledControlPlaneAdoptsTheRunningWorker) {
    ControlPlane plane({.runtime = runtime()});
    const auto task = start_waiting_task(plane);
    const auto body = plane.body_id(worker_);
    const int before = agent();
    plane.kill_hard();
    plane.start();
    EXPECT_EQ(plane.body_id(worker_), body);
    EXPECT_EQ(agent(), before);
    let_go(plane);
    expect_completed_once(plane, task);
}

TEST_P(Restart, ControlPlaneDiesAndTheAgentEndsMeanwhile) {
    ControlPlane plane({.runtime = runtime()});
    const auto task = start_waiting_task(plane);
    plane.kill_hard();
    let_go(plane);
    eventually("the agent has ended", [&] { return agents().empty(); });
    plane.start();
    expect_completed_once(plane, task);
}

TEST_P(Restart, RedisLosesEverythingWhileTheAgentRuns) {
    ControlPlane plane({.runtime = runtime()});
    const auto task = start_waiting_task(plane);
    const int before = agent();
    destroy_redis(plane);
    EXPECT_EQ(agent(), before);
    let_go(plane);
    expect_completed_once(plane, task);
}

TEST_P(Restart, RedisLosesEverythingBetweenTheResultFileAndItsPublication) {
    ControlPlane plane({.runtime = runtime()});
    const auto task = start_waiting_task(plane);
    ASSERT_EQ(::kill(redis_pid(plane), SIGSTOP), 0);  // the wrapper cannot publish
    let_go(plane);
    eventually("the result stands in its file", [&] {
        for (const auto& entry : fs::directory_iterator(plane.worker_directory(worker_) / "state"))
            if (entry.path().filename().string().starts_with("result-")) return true;
        return false;
    });
    destroy_redis(plane);
    expect_completed_once(plane, task);
}

CODEGEN_ON_EVERY_RUNTIME(Restart);

}  // namespace
}  // namespace codegen::testing
