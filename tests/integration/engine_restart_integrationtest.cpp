// The engine may die at any moment, alone or together with the control plane: unknown is not dead, nothing runs twice.
// Each test has an engine of its own.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "tests/harness/control_plane.hpp"
#include "tests/harness/docker_engine.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

class EngineRestart : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { engine_ = std::make_unique<DockerEngine>(); }
    static void TearDownTestSuite() { engine_.reset(); }

    ControlPlane::Options options() const {
        return {.runtime = "docker", .environment = {{"DOCKER_HOST", engine_->url()}}};
    }
    // A task whose agent counts its starts, then waits for `go` and commits.
    std::string start_waiting_task(ControlPlane& plane) {
        const auto task =
            plane.start_task(plane.create_project("p"), "echo run >> runs; exec -a " + mark_ + " bash -c \"" +
                                                            kWaitForGo + kCommitAndReport + "\"");
        worker_ = plane.wait_for_worker(task);
        eventually("the agent runs", [&] { return !agents().empty(); });
        return task;
    }
    std::vector<int> agents() const { return processes_with(mark_ + " -c"); }
    void let_go(ControlPlane& plane) { std::ofstream(plane.worker_directory(worker_) / "workspace" / "go") << "go"; }
    void expect_completed_once(ControlPlane& plane, const std::string& task) {
        const auto record = plane.wait_for_end(task, 180s);
        EXPECT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record);
        EXPECT_EQ(plane.api("/api/task-executions?task_id=" + task).as_array().size(), 1u);
        expect_clean(plane);
    }
    void expect_clean(ControlPlane& plane) {
        eventually("no container is left", [&] { return plane.run({"docker", "ps", "-aq"}).output.empty(); }, 90s);
        eventually("its directory is gone", [&] { return !fs::exists(plane.worker_directory(worker_)); });
    }

    static std::unique_ptr<DockerEngine> engine_;
    std::string mark_ = "agent-of-engine-" + std::to_string(::getpid());
    std::string worker_;
};
std::unique_ptr<DockerEngine> EngineRestart::engine_;

TEST_F(EngineRestart, UnknownIsNotDeadAndNothingRunsTwice) {
    ControlPlane plane(options());
    const auto task = start_waiting_task(plane);
    const auto body = plane.body_id(worker_);
    const auto before = agents();
    engine_->kill_hard();
    eventually("the manager notices", [&] { return plane.log().contains("Docker engine is away"); });
    EXPECT_EQ(plane.redis({"HGET", "worker:status:" + worker_, "status"}).text, "RUNNING");
    // Started meanwhile: it waits. Its slot and its name are kept.
    const auto second = plane.start_task(plane.create_project("q"), "echo x > x; " + kCommitAndReport);
    eventually("a create waits", [&] { return plane.log().contains("a worker waits for its runtime"); });
    engine_->start();
    EXPECT_EQ(plane.wait_for_end(second, 180s).at("status").as_string(), "completed");
    EXPECT_EQ(plane.body_id(worker_), body);
    EXPECT_EQ(agents(), before);
    // The result comes while the engine is away: judged then, its container removed later.
    const auto results = plane.stream("worker:developer:output").size();
    engine_->kill_hard();
    let_go(plane);
    eventually("the result is out", [&] { return plane.stream("worker:developer:output").size() > results; });
    engine_->start();
    expect_completed_once(plane, task);
}

TEST_F(EngineRestart, BothAreKilledWhileAnAgentWorks) {
    ControlPlane plane(options());
    const auto task = start_waiting_task(plane);
    const auto body = plane.body_id(worker_);
    const auto before = agents();
    engine_->kill_hard();
    plane.kill_hard();
    engine_->start();
    plane.start();
    EXPECT_EQ(plane.body_id(worker_), body);
    EXPECT_EQ(agents(), before);
    let_go(plane);
    expect_completed_once(plane, task);
}

TEST_F(EngineRestart, AWorkerThatIsGoneWhenTheEngineComesBackFailsOnce) {
    ControlPlane plane(options());
    const auto failed_once = [&](const std::string& task, std::chrono::seconds limit) {
        const auto record = plane.wait_for_end(task, limit);
        EXPECT_EQ(plane.reason(record), "killed") << boost::json::serialize(record);
        EXPECT_EQ(plane.api("/api/task-executions?task_id=" + task).as_array().size(), 1u);
        expect_clean(plane);
    };
    const auto first = start_waiting_task(plane);
    const auto wrapper = plane.run({"docker", "inspect", "-f", "{{.State.Pid}}", "worker-" + worker_}).output;
    engine_->kill_hard();
    ASSERT_EQ(::kill(std::stoi(wrapper), SIGKILL), 0);
    eventually("the agent died with it", [&] { return agents().empty(); });
    EXPECT_EQ(plane.task(first).at("status").as_string(), "running") << "nobody can know yet";
    engine_->start();
    failed_once(first, 180s);

    const auto second = start_waiting_task(plane);
    ASSERT_EQ(plane.run({"docker", "rm", "-f", "worker-" + worker_}).exit_code, 0);
    failed_once(second, 30s);
}

}  // namespace
}  // namespace codegen::testing
