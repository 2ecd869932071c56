// The first code base of a project, with everything that may happen to the control plane meanwhile.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "shared/base/ids.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;

class Scaffolding : public ::testing::Test {
  protected:
    void SetUp() override {
        fs::create_directory(folder_);
        std::ofstream(copier_) << "#!/bin/bash\nmkdir " << (folder_ / "first").string() << " 2>/dev/null && exec -a "
                               << mark_ << " sleep 600\nexec " << CODEGEN_SOURCE_DIR
                               << "/build/copier/bin/python -m copier \"$@\"\n";
        fs::permissions(copier_, fs::perms::owner_all);
    }
    void TearDown() override { fs::remove_all(folder_); }

    const std::string mark_ = "copier-" + random_token(4);
    const fs::path folder_ = fs::temp_directory_path() / ("scaffolding-" + random_token(4));
    const fs::path copier_ = folder_ / "copier";  // hangs the first time
};

TEST_F(Scaffolding, IsMadeByTheNextControlPlaneWhenOneDies) {
    ControlPlane plane({.environment = {{"SCAFFOLDER", "on"}, {"COPIER", copier_.string()}}});
    const auto project = plane.create_project("shop");
    const auto task = plane.start_task(project, "ls -A > seen.txt; " + kCommitAndReport);
    eventually("Copier runs", [&] { return processes_with(mark_).size() == 1; });
    EXPECT_FALSE(fs::is_empty(plane.state() / "scaffolding"));
    plane.kill_hard();
    eventually("Copier is gone with its control plane", [&] { return processes_with(mark_).empty(); });
    plane.start();
    const auto record = plane.wait_for_end(task);
    ASSERT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record);
    const auto stored = plane.api("/api/projects/" + project).as_object();
    EXPECT_EQ(stored.at("status").as_string(), "scaffolded");
    const std::string repository = stored.at("repository_url").as_string().c_str();
    EXPECT_EQ(plane.run({"git", "-C", repository, "rev-list", "--count", "main"}).output, "1\n");
    EXPECT_TRUE(
        plane.run({"git", "-C", repository, "show", "task/" + task + ":seen.txt"}).output.contains("backend\n"));
    EXPECT_TRUE(fs::is_empty(plane.state() / "scaffolding")) << "what the dead one left";
    plane.stop();
}

// The person sees why, at the task and at the project; the next task tries again.
TEST_F(Scaffolding, ThatFailsIsToldAndTriedAgain) {
    fs::create_directory(folder_ / "template");
    std::ofstream(folder_ / "template" / "copier.yml") << "region: {type: str}\n";
    const auto git = [](ControlPlane& plane, std::vector<std::string> arguments) {
        std::vector<std::string> argv{"git", "-c", "user.name=x", "-c", "user.email=x@x", "-C"};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        EXPECT_EQ(plane.run(argv).exit_code, 0);
    };
    const auto path = (folder_ / "template").string();
    ControlPlane plane({.environment = {{"SCAFFOLDER", "on"}, {"TEMPLATE_DIRECTORIES", folder_.string()}}});
    git(plane, {path, "init", "--quiet", "--initial-branch=main"});
    git(plane, {path, "add", "--all"});
    git(plane, {path, "commit", "--quiet", "-m", "x"});
    const auto made = plane.orchestrator({"project", "create", "--name", "shop", "--template", path});
    ASSERT_EQ(made.exit_code, 0) << made.output << made.errors;
    const std::string project = made.json().at("data").at("id").as_string().c_str();
    const auto failed = plane.wait_for_end(plane.start_task(project, kCommitAndReport));
    EXPECT_EQ(failed.at("status").as_string(), "failed");
    EXPECT_EQ(plane.reason(failed), "infrastructure");
    EXPECT_TRUE(boost::json::serialize(failed.at("error_message")).contains("--data region=VALUE"));
    const auto shown = plane.orchestrator({"project", "get", project, "--text"});
    EXPECT_TRUE(shown.output.contains("--data region=VALUE")) << shown.output;
    plane.api("/api/projects/" + project, "PATCH",
              R"({"config": {"template": ")" + path + R"(", "template_data": {"region": "eu"}}})");
    EXPECT_EQ(plane.wait_for_end(plane.start_task(project, "echo x > x; " + kCommitAndReport)).at("status").as_string(),
              "completed");
    plane.stop();
}

}  // namespace
}  // namespace codegen::testing
