// Prepared workers (WARM_POOL), on the runtime that has them: claimed, kept out of the way, cleaned.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "shared/base/ids.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

class WarmPool : public ::testing::Test {
  protected:
    static ControlPlane::Options options(const std::string& slots) {
        return {.runtime = "docker", .environment = {{"WARM_POOL", "1"}, {"MAX_CONCURRENT_WORKERS", slots}}};
    }
    static std::vector<std::string> containers(ControlPlane& plane, const std::string& prefix) {
        const auto listed =
            plane.run({"docker", "ps", "-q", "--no-trunc", "--filter",
                       "label=codegen.installation=" + plane.installation(), "--filter", "name=^" + prefix});
        std::vector<std::string> ids;
        std::istringstream lines(listed.output);
        for (std::string id; std::getline(lines, id);) ids.push_back(id);
        return ids;
    }
    static std::string prepared(ControlPlane& plane) {
        std::vector<std::string> ids;
        eventually(
            "a worker is prepared",
            [&] {
                ids = containers(plane, "worker-prepared-");
                return ids.size() == 1;
            },
            60s);
        return ids.empty() ? "" : ids.front();
    }
    static std::vector<fs::path> prepared_directories(ControlPlane& plane) {
        std::vector<fs::path> out;
        for (const auto& entry : fs::directory_iterator(plane.state() / "workers"))
            if (entry.path().filename().string().starts_with("prepared-")) out.push_back(entry.path());
        return out;
    }
    static void complete(ControlPlane& plane, const std::string& task) {
        const auto record = plane.wait_for_end(task);
        EXPECT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record);
    }
};

TEST_F(WarmPool, APreparedWorkerDoesATaskAndSurvivesItsManager) {
    ControlPlane plane(options("4"));
    const auto project = plane.create_project("warm");
    complete(plane, plane.start_task(project, "cat > one; " + kCommitAndReport));
    const auto body = prepared(plane);

    const auto task = plane.start_task(project, "cat > two; touch agent-runs; echo \"$WORKER_ID $TASK_ID\" > who; " +
                                                    kWaitForGo + "rm agent-runs; " + kCommitAndReport);
    const auto worker = plane.wait_for_worker(task);
    EXPECT_EQ(plane.body_id(worker), body);
    const auto workspace = plane.worker_directory(worker) / "workspace";
    eventually("the agent runs", [&] { return fs::exists(workspace / "agent-runs"); });
    plane.kill_hard();
    plane.start();
    EXPECT_EQ(plane.body_id(worker), body);
    std::ofstream(workspace / "go").close();
    complete(plane, task);

    const std::string commit = plane.task(task).at("result").at("commit_sha").as_string().c_str();
    const auto repository = (plane.state() / "repositories" / (project + ".git")).string();
    EXPECT_EQ(plane.run({"git", "-C", repository, "show", commit + ":who"}).output, worker + " " + task + "\n");
    eventually("its container is gone", [&] { return containers(plane, "worker-" + worker).empty(); });
    plane.stop();
    EXPECT_TRUE(containers(plane, "worker-").empty());
    EXPECT_TRUE(fs::is_empty(plane.state() / "workers"));
}

TEST_F(WarmPool, IsCleanedAfterADeathOfTheManagerAndWhenItStops) {
    ControlPlane plane(options("4"));
    const auto project = plane.create_project("warm");
    complete(plane, plane.start_task(project, "cat > one; " + kCommitAndReport));
    const auto left = prepared(plane);
    plane.kill_hard();
    plane.start();
    eventually("what the former manager prepared is gone",
               [&] { return containers(plane, "worker-prepared-").empty() && prepared_directories(plane).empty(); });
    complete(plane, plane.start_task(project, "cat > two; " + kCommitAndReport));
    EXPECT_NE(prepared(plane), left);
    plane.stop();
    EXPECT_TRUE(containers(plane, "worker-").empty());
    EXPECT_TRUE(fs::is_empty(plane.state() / "workers"));
}

TEST_F(WarmPool, OneThatDiedIsReplacedAndNoTaskSuffers) {
    ControlPlane plane(options("4"));
    const auto project = plane.create_project("warm");
    complete(plane, plane.start_task(project, "cat > one; " + kCommitAndReport));
    EXPECT_EQ(plane.run({"docker", "kill", prepared(plane)}).exit_code, 0);
    complete(plane, plane.start_task(project, "cat > two; " + kCommitAndReport));
}

TEST_F(WarmPool, GivesWayToWorkersOfAnotherKind) {
    ControlPlane plane(options("2"));
    const auto project = plane.create_project("warm");
    complete(plane, plane.start_task(project, "cat > one; " + kCommitAndReport));
    prepared(plane);
    const auto command = [&](boost::json::object message) {
        message["request_id"] = new_uuid();
        plane.redis({"XADD", "worker:commands", "*", "data", boost::json::serialize(message)});
    };
    const std::vector<std::string> names{"other-1", "other-2"};
    for (const auto& name : names)
        command({{"command", "create"},
                 {"config",
                  {{"name", name},
                   {"worker_type", "developer"},
                   {"agent_type", "custom"},
                   {"instructions", ""},
                   {"allowed_commands", boost::json::array{"result"}},
                   {"capabilities", boost::json::array{"git"}},
                   {"env_vars", boost::json::object{}},
                   {"memory_limit", "256m"},
                   {"command", boost::json::array{"true"}}}},
                 {"context", {{"user_id", "1"}}}});
    for (const auto& name : names)
        eventually(
            name + " runs", [&] { return plane.redis({"HGET", "worker:status:" + name, "status"}).text == "RUNNING"; },
            60s);
    eventually("the prepared one is gone", [&] { return containers(plane, "worker-prepared-").empty(); });
    EXPECT_EQ(containers(plane, "worker-").size(), 2u);
    for (const auto& name : names) command({{"command", "delete"}, {"worker_id", name}});
    eventually("there is room again", [&] { return !containers(plane, "worker-prepared-").empty(); }, 60s);
    EXPECT_LE(containers(plane, "worker-").size(), 2u);
}

}  // namespace
}  // namespace codegen::testing
