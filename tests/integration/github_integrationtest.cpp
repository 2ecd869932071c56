// A project whose code is on GitHub: the whole control plane, real git over HTTP, a GitHub that checks every token.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "shared/base/base64.hpp"
#include "shared/testing/github/fake_github.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;

std::string content_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {(std::istreambuf_iterator<char>(in)), {}};
}

class GitHubProject : public OnEachRuntime {
  protected:
    std::map<std::string, std::string> settings() const {
        return {{"GITHUB_ORG", "acme"},
                {"GITHUB_APP_ID", hub_.options().app_id},
                {"GITHUB_APP_PRIVATE_KEY", hub_.private_key()},
                {"GITHUB_API_URL", hub_.api_url()},
                {"PULL_REQUESTS", "on"}};
    }
    std::string project_on(ControlPlane& plane, const std::string& repository) {
        const auto project = plane.create_project("shop");
        plane.api("/api/projects/" + project, "PATCH",
                  R"({"repository_url": ")" + hub_.web_url() + "/acme/" + repository + R"("})");
        return project;
    }
    // Where below the state directory (workspaces, logs, databases, copies) one of GitHub's tokens or the App's key is.
    std::vector<std::string> places_of_secrets(ControlPlane& plane) const {
        std::vector<std::string> needles{hub_.private_key().substr(100, 200)};
        for (const auto& token : hub_.tokens()) {
            needles.push_back(token);
            needles.push_back(base64("x-access-token:" + token));
        }
        EXPECT_GE(needles.size(), 3u);
        std::vector<std::string> found;
        std::error_code ec;
        for (auto entry = fs::recursive_directory_iterator(plane.state(), ec); entry != fs::end(entry);
             entry.increment(ec)) {
            if (entry->path().filename() == "bin") entry.disable_recursion_pending();  // our programs: large
            if (!entry->is_regular_file(ec)) continue;
            const auto text = content_of(entry->path());
            for (const auto& needle : needles)
                if (text.contains(needle)) found.push_back(entry->path().string());
        }
        return found;
    }

    FakeGitHub hub_;
};

TEST_P(GitHubProject, ACommitArrivesThereAndTheTokenIsFoundNowhere) {
    hub_.add_repository("shop");
    ControlPlane plane({.runtime = runtime(), .environment = settings()});
    const auto project = project_on(plane, "shop");
    // The agent looks for what it could steal; the workspace stays as it is until the worker is removed.
    const auto task = plane.start_task(
        project, "(env; cat .git/config; git remote -v) > seen.txt 2>&1; " + kWaitForGo + kCommitAndReport);
    const auto worker = plane.wait_for_worker(task);
    const auto workspace = plane.worker_directory(worker) / "workspace";
    eventually("the agent has looked", [&] { return fs::exists(workspace / "seen.txt"); });
    EXPECT_EQ(places_of_secrets(plane), std::vector<std::string>{});
    // In the middle of the push nobody reads it in the list of processes either.
    const auto pushes = [&] { return hub_.count("POST", "/acme/shop.git/git-receive-pack"); };
    hub_.fail({.method = "POST", .path = "/acme/shop.git/git-receive-pack", .status = 503, .hangs = true});
    std::ofstream(workspace / "go") << "";
    eventually("the push is under way", [&] { return pushes() == 1; });
    for (const auto& token : hub_.tokens()) EXPECT_EQ(processes_with(token), std::vector<int>{});
    EXPECT_NE(processes_with("git-remote-http"), std::vector<int>{});
    hub_.release();
    const auto record = plane.wait_for_end(task);
    ASSERT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record) << plane.log();
    const std::string commit = record.at("result").at("commit_sha").as_string().c_str();
    EXPECT_EQ(hub_.branch("shop", "task/" + task), commit);
    EXPECT_NE(hub_.branch("shop", "main"), commit);
    eventually("the pull request is in the result",
               [&] { return plane.task(task).at("result").as_object().contains("pull_request"); });
    EXPECT_EQ(hub_.pull_requests("shop"), 1u);
    const auto seen = hub_.file("shop", "task/" + task, "seen.txt").value_or("");
    EXPECT_FALSE(seen.contains("127.0.0.1:" + hub_.web_url().substr(hub_.web_url().rfind(':') + 1))) << seen;
    EXPECT_EQ(places_of_secrets(plane), std::vector<std::string>{});
    plane.stop();
    EXPECT_EQ(places_of_secrets(plane), std::vector<std::string>{});
}

TEST_P(GitHubProject, APushThatGitHubRejectsFailsTheTaskWithItsReason) {
    hub_.add_repository("shop");
    hub_.refuse_pushes("shop", "error: GH013: Repository rule violations found");
    ControlPlane plane({.runtime = runtime(), .environment = settings()});
    const auto task = plane.start_task(project_on(plane, "shop"), "date > f; " + kCommitAndReport);
    const auto record = plane.wait_for_end(task);
    EXPECT_EQ(record.at("status").as_string(), "failed");
    EXPECT_EQ(plane.reason(record), "commit_rejected") << boost::json::serialize(record);
    EXPECT_TRUE(boost::json::serialize(record).contains("GH013")) << boost::json::serialize(record);
    EXPECT_EQ(hub_.pull_requests("shop"), 0u);
    plane.stop();
}

TEST_P(GitHubProject, ANewProjectBeginsThereWithItsTemplate) {
    auto all = settings();
    all["REPOSITORY_HOST"] = "github";
    all["SCAFFOLDER"] = "on";
    ControlPlane plane({.runtime = runtime(), .environment = all});
    const auto project = plane.create_project("My Shop");
    const auto task = plane.start_task(project, "ls -A > seen.txt; " + kCommitAndReport);
    const auto record = plane.wait_for_end(task);
    ASSERT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record) << plane.log();
    EXPECT_TRUE(hub_.file("my-shop", "main", ".project.yml").value_or("").contains(project));
    EXPECT_TRUE(hub_.file("my-shop", "task/" + task, "seen.txt").value_or("").contains("backend\n"));
    eventually("the pull request is there", [&] { return hub_.pull_requests("my-shop") == 1; });
    EXPECT_EQ(hub_.branch("my-shop", "task/" + task), record.at("result").at("commit_sha").as_string().c_str());
    EXPECT_EQ(places_of_secrets(plane), std::vector<std::string>{});
    plane.stop();
    EXPECT_EQ(places_of_secrets(plane), std::vector<std::string>{});
}

CODEGEN_ON_EACH_RUNTIME(GitHubProject);

}  // namespace
}  // namespace codegen::testing
