// Acceptance A and G: a task goes in, a verified commit comes out; several at once; nothing is left behind.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "shared/base/ids.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

class FirstLight : public OnEachRuntime {
  protected:
    static std::set<std::string> networks(ControlPlane& plane) {
        std::istringstream lines(plane.run({"docker", "network", "ls", "-q"}).output);
        return {std::istream_iterator<std::string>(lines), {}};
    }
    static std::vector<std::string> names_in(const fs::path& folder) {
        std::vector<std::string> out;
        if (fs::exists(folder))
            for (const auto& entry : fs::directory_iterator(folder)) out.push_back(entry.path().filename().string());
        return out;
    }
};

TEST_P(FirstLight, ThePromptReachesTheAgentByteForByteAndItsCommitIsVerified) {
    ControlPlane plane({.runtime = runtime()});
    const auto nonce = random_token(8);
    const auto spec = "  say \"" + nonce + "\" for $HOME & 'you' \\ \n\tnewline é\n";
    const auto project = plane.create_project("first");
    const auto task = plane.start_task(project, "cat > spec.txt; " + kCommitAndReport, spec);
    const auto record = plane.wait_for_end(task);
    ASSERT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record);

    const auto& result = record.at("result").as_object();
    const std::string commit = result.at("commit_sha").as_string().c_str();
    const auto repository = (plane.state() / "repositories" / (project + ".git")).string();
    auto git = [&](std::vector<std::string> arguments) {
        std::vector<std::string> argv{"git", "-C", repository};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        return plane.run(argv);
    };
    EXPECT_EQ(git({"rev-parse", "task/" + task}).output, commit + "\n");
    EXPECT_EQ(git({"show", commit + ":spec.txt"}).output, spec);
    EXPECT_EQ(git({"merge-base", "--is-ancestor", "main", commit}).exit_code, 0);
    EXPECT_NE(git({"rev-parse", "main"}).output, commit + "\n");

    const auto executions = plane.api("/api/task-executions?task_id=" + task).as_array();
    ASSERT_EQ(executions.size(), 1u);
    EXPECT_EQ(executions[0].at("status").as_string(), "success");
    EXPECT_EQ(plane.stream("task_progress:" + task).empty(), false);
    plane.stop();
}

TEST_P(FirstLight, FiveTasksOfTwoProjectsAtOnceLeaveNothingBehind) {
    const auto mark = "mark-" + random_token(6);  // in the name of what the agents put into their /tmp
    const auto temporary = fs::temp_directory_path() / ("tmp-of-cg-" + random_token(4));
    fs::create_directory(temporary);
    ControlPlane plane({.runtime = runtime(), .environment = {{"TMPDIR", temporary.string()}}});
    const auto networks_before = networks(plane);
    if (runtime() == "docker") EXPECT_FALSE(networks_before.empty());
    const std::vector projects{plane.create_project("one"), plane.create_project("two")};
    std::vector<std::string> tasks;
    for (std::size_t i = 0; i < 5; ++i)
        tasks.push_back(plane.start_task(projects[i % 2],
                                         "mktemp -d -t " + mark + "-XXXXXX > t && cat > n; " + kCommitAndReport,
                                         "task " + std::to_string(i)));
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        const auto& task = tasks[i];
        const auto record = plane.wait_for_end(task);
        EXPECT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record);
        const auto repository = plane.state() / "repositories" / (projects[i % 2] + ".git");
        const auto made = plane.run({"git", "-C", repository.string(), "show", "task/" + task + ":t"}).output;
        EXPECT_TRUE(made.contains(mark)) << "a temporary directory was made: " << made;
    }
    eventually("no worker directory is left", [&] { return fs::is_empty(plane.state() / "workers"); });
    eventually("no worker process is left",
               [&] { return processes_with(plane.state().string() + "/workers/").empty(); });
    if (runtime() == "docker") {
        std::ifstream in(plane.state() / "instance.id");
        std::string id;
        in >> id;
        EXPECT_EQ(plane.run({"docker", "ps", "-aq", "--filter", "label=codegen.installation=" + id}).output, "");
    }
    eventually("no key of a worker is left but the status hash", [&] {
        const auto keys = plane.redis({"KEYS", "worker:*"});
        return std::ranges::all_of(keys.elements, [](const redis::Reply& key) {
            return !key.text.contains("dev-") || key.text.starts_with("worker:status:");
        });
    });
    for (const auto& user : plane.redis({"ACL", "LIST"}).elements)
        EXPECT_FALSE(user.text.contains("dev-")) << user.text;
    EXPECT_EQ(plane.redis({"HGET", "worker:status:dev-" + tasks[0] + "-1", "status"}).text, "STOPPED");
    EXPECT_TRUE(fs::is_directory(plane.state() / "quarantine")) << "every commit went through it";
    eventually("the quarantine is empty", [&] { return names_in(plane.state() / "quarantine").empty(); });
    EXPECT_TRUE(names_in(plane.state() / "kept").empty()) << "nobody asked to keep a workspace";
    for (const auto& network : networks(plane)) EXPECT_TRUE(networks_before.contains(network)) << network;
    const auto state = plane.state().filename().string();
    const auto installation = plane.installation();
    plane.stop();
    EXPECT_EQ(names_in(temporary), std::vector<std::string>{}) << "left by the control plane";
    for (const auto& name : names_in("/tmp"))
        for (const auto& ours : {mark, state, installation})
            EXPECT_TRUE(name == state || !name.contains(ours)) << "/tmp/" << name << " is left";
    fs::remove_all(temporary);
}

TEST_P(FirstLight, AProjectsSecondTaskStartsFromMain) {
    ControlPlane plane({.runtime = runtime()});
    const auto project = plane.create_project("again");
    for (int i = 0; i < 2; ++i) {
        const auto task = plane.start_task(project, "cat > f; " + kCommitAndReport, "round " + std::to_string(i));
        EXPECT_EQ(plane.wait_for_end(task).at("status").as_string(), "completed");
    }
}

CODEGEN_ON_EVERY_RUNTIME(FirstLight);

}  // namespace
}  // namespace codegen::testing
