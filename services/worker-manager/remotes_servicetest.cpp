// Projects whose repository is on GitHub: the service, real git over HTTP and a GitHub that checks every token.
#include <algorithm>
#include <fstream>
#include <iterator>

#include "services/worker-manager/tests/service_fixture.hpp"
#include "shared/base/base64.hpp"
#include "shared/process/process.hpp"
#include "shared/testing/github/client_options.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class RemotesTest : public ServiceFixture {
  protected:
    void SetUp() override {
        ServiceFixture::SetUp();
        hub_.add_repository("shop");
        options_.github = std::make_shared<clients::GitHubClient>(
            clients::GitHubClient::make(io_.get_executor(), codegen::testing::client_options(hub_)).value());
    }
    std::string url(const std::string& name = "shop") const { return hub_.web_url() + "/acme/" + name; }
    boost::json::object create(const std::string& name, const std::string& repository, const std::string& base = {}) {
        auto message = create_message(name, "create-" + name);
        boost::json::object workspace{{"repo_url", repository}, {"branch", "task/" + name}};
        if (!base.empty()) workspace["base_ref"] = base;
        message["workspace"] = std::move(workspace);
        return ask(message);
    }
    std::string git(const std::string& name, std::vector<std::string> arguments) {
        process::Spec spec;
        spec.argv = {"git",
                     "-c",
                     "safe.directory=*",
                     "-c",
                     "user.name=a",
                     "-c",
                     "user.email=a@b",
                     "-C",
                     (state() / "workers" / name / "workspace").string()};
        spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
        spec.environment = process::minimal_environment();
        auto outcome = run(process::run(std::move(spec))).value();
        EXPECT_TRUE(outcome.ok()) << arguments.front() << ": " << outcome.describe();
        while (outcome.output.ends_with('\n')) outcome.output.pop_back();
        return outcome.output;
    }
    // A commit in the worker's workspace, and what its wrapper leaves at its end. The commit's sha.
    std::string work(const std::string& name, const std::string& file, const std::string& content) {
        const auto place = state() / "workers" / name;
        fs::create_directories((place / "workspace" / file).parent_path());
        std::ofstream(place / "workspace" / file) << content;
        const auto base = git(name, {"rev-parse", "HEAD"});
        git(name, {"add", "-A"});
        git(name, {"commit", "-q", "-m", "work"});
        const auto head = git(name, {"rev-parse", "HEAD"});
        git(name, {"bundle", "create", "-q", (place / "state" / "work.bundle").string(), base + "..HEAD"});
        contracts::ResultFile result;
        result.output.request_id = "r-1";
        result.output.task_id = "t1";
        result.output.status = contracts::ResultStatus::success;
        result.head_sha = head;
        result.bundle = "work.bundle";
        EXPECT_TRUE(posix::write_file_atomically(place / "state" / "result-r-1.json", json::write(result), 0600));
        return head;
    }
    boost::json::object collect(const std::string& name) {
        return ask({{"command", "collect"},
                    {"request_id", "collect-" + std::to_string(++collects_)},
                    {"worker_id", name},
                    {"branch", "task/" + name}});
    }
    // Files below the state directory that hold one of GitHub's tokens, as it is or as git sends it.
    std::vector<std::string> files_with_a_token() {
        std::vector<std::string> needles;
        for (const auto& token : hub_.tokens()) {
            needles.push_back(token);
            needles.push_back(base64("x-access-token:" + token));
        }
        EXPECT_FALSE(needles.empty());
        std::vector<std::string> found;
        for (const auto& entry : fs::recursive_directory_iterator(state())) {
            if (!entry.is_regular_file()) continue;
            std::ifstream in(entry.path(), std::ios::binary);
            const std::string text((std::istreambuf_iterator<char>(in)), {});
            for (const auto& needle : needles)
                if (text.contains(needle)) found.push_back(entry.path().string());
        }
        return found;
    }

    codegen::testing::FakeGitHub hub_;
    int collects_ = 0;
};

TEST_F(RemotesTest, ACommitArrivesOnGitHubAndTheTokenStaysNowhere) {
    start();
    auto created = create("dev-1", url());
    ASSERT_EQ(created["success"], true) << boost::json::serialize(created);
    EXPECT_EQ(git("dev-1", {"remote"}), "");
    EXPECT_EQ(git("dev-1", {"rev-parse", "HEAD"}), hub_.branch("shop", "main"));
    const auto head = work("dev-1", "a.txt", "a\n");
    auto collected = collect("dev-1");
    ASSERT_EQ(collected["success"], true) << boost::json::serialize(collected);
    EXPECT_EQ(collected["commit_sha"], boost::json::string(head));
    EXPECT_EQ(hub_.branch("shop", "task/dev-1"), head);
    EXPECT_EQ(hub_.file("shop", "task/dev-1", "a.txt"), "a\n");
    // Again, as after an answer that was lost.
    collected = collect("dev-1");
    ASSERT_EQ(collected["success"], true) << boost::json::serialize(collected);
    EXPECT_THAT(files_with_a_token(), ::testing::IsEmpty());
    // Nor do workers find where it came from.
    std::ifstream configuration(state() / "workers/dev-1/workspace/.git/config");
    const std::string text((std::istreambuf_iterator<char>(configuration)), {});
    EXPECT_THAT(text, Not(HasSubstr("http")));
}

TEST_F(RemotesTest, EveryWorkerStartsFromWhatGitHubHasThen) {
    start();
    ASSERT_EQ(create("dev-1", url())["success"], true);
    hub_.commit("shop", "main", "later.txt", "later\n");
    ASSERT_EQ(create("dev-2", url() + ".git")["success"], true);
    EXPECT_EQ(git("dev-2", {"rev-parse", "HEAD"}), hub_.branch("shop", "main"));
    EXPECT_NE(git("dev-1", {"rev-parse", "HEAD"}), hub_.branch("shop", "main"));
    // Work of the first goes on from its own base; the tester of another host starts from its commit.
    const auto head = work("dev-1", "a.txt", "a\n");
    ASSERT_EQ(collect("dev-1")["success"], true);
    fs::remove_all(state() / "remotes");
    auto tester = create("dev-3", url(), head);
    ASSERT_EQ(tester["success"], true) << boost::json::serialize(tester);
    EXPECT_EQ(git("dev-3", {"rev-parse", "HEAD"}), head);
}

TEST_F(RemotesTest, ManyAtOnceShareOneCopy) {
    start();
    std::vector<boost::json::object> asked;
    for (int i = 0; i < 5; ++i) {
        auto message = create_message("dev-" + std::to_string(i), "c-" + std::to_string(i));
        message["workspace"] = {{"repo_url", url()}, {"branch", "task/" + std::to_string(i)}};
        send(message);
        asked.push_back(std::move(message));
    }
    for (const auto& message : asked) {
        auto response = answered(message);
        EXPECT_EQ(response["success"], true) << boost::json::serialize(response);
    }
}

TEST_F(RemotesTest, TheDefaultBranchMayHaveAnyName) {
    hub_.name_default_branch("shop", "trunk");
    start();
    auto created = create("dev-1", url());
    ASSERT_EQ(created["success"], true) << boost::json::serialize(created);
    EXPECT_EQ(git("dev-1", {"rev-parse", "HEAD"}), hub_.branch("shop", "trunk"));
    EXPECT_THAT(error_of(create("dev-2", url(), "develop")), HasSubstr("has no commit \"develop\""));
}

TEST_F(RemotesTest, WhatIsNoRepositoryOfOursIsRefused) {
    start();
    EXPECT_THAT(error_of(create("dev-1", "https://github.com/acme/shop")), HasSubstr("is not a repository of acme"));
    EXPECT_THAT(error_of(create("dev-2", hub_.web_url() + "/other/shop")), HasSubstr("is not a repository of acme"));
    const auto with_password = error_of(create("dev-3", "https://me:hunter2@github.com/acme/shop"));
    EXPECT_THAT(with_password, HasSubstr("is not a repository of acme"));
    EXPECT_THAT(with_password, Not(HasSubstr("hunter2")));
    EXPECT_THAT(error_of(create("dev-4", url("nowhere"))), HasSubstr("does not exist or is not accessible"));
    stop();
    options_.github.reset();
    start();
    EXPECT_THAT(error_of(create("dev-5", url())), HasSubstr("set GITHUB_ORG, GITHUB_APP_ID"));
}

TEST_F(RemotesTest, FaultPushRejectedSaysWhatGitHubSaid) {
    start();
    ASSERT_EQ(create("dev-1", url())["success"], true);
    work("dev-1", "a.txt", "a\n");
    hub_.refuse_pushes("shop", "error: GH013: Repository rule violations found for refs/heads/task/dev-1.");
    auto collected = collect("dev-1");
    EXPECT_EQ(collected["success"], false);
    EXPECT_EQ(collected["reason"], "commit_rejected");
    EXPECT_THAT(error_of(collected), HasSubstr("push task/dev-1: " + url() + ".git refuses it: error: GH013"));
    EXPECT_FALSE(hub_.branch("shop", "task/dev-1"));
    hub_.refuse_pushes("shop", "");
    EXPECT_EQ(collect("dev-1")["success"], true);
    EXPECT_TRUE(hub_.branch("shop", "task/dev-1"));
}

TEST_F(RemotesTest, AnAgentCannotChangeWorkflows) {
    start();
    ASSERT_EQ(create("dev-1", url())["success"], true);
    work("dev-1", ".github/workflows/steal.yml", "on: push\n");
    auto collected = collect("dev-1");
    EXPECT_EQ(collected["success"], false);
    EXPECT_EQ(collected["reason"], "commit_rejected");
    EXPECT_THAT(error_of(collected), HasSubstr("without `workflows` permission"));
    EXPECT_FALSE(hub_.branch("shop", "task/dev-1"));
}

TEST_F(RemotesTest, FaultTokenExpiringMidRunIsRenewed) {
    start();
    ASSERT_EQ(create("dev-1", url())["success"], true);
    work("dev-1", "a.txt", "a\n");
    ASSERT_EQ(collect("dev-1")["success"], true);
    hub_.expire_tokens();
    hub_.commit("shop", "main", "later.txt", "later\n");
    auto created = create("dev-2", url());
    ASSERT_EQ(created["success"], true) << boost::json::serialize(created);
    work("dev-2", "b.txt", "b\n");
    auto collected = collect("dev-2");
    ASSERT_EQ(collected["success"], true) << boost::json::serialize(collected);
    EXPECT_TRUE(hub_.branch("shop", "task/dev-2"));
}

TEST_F(RemotesTest, FaultGitHubAwayIsTriedAgainAndThenInfrastructure) {
    start();
    hub_.fail({.path = "/acme/shop.git", .status = 503, .body = "away"});
    auto created = create("dev-1", url());
    ASSERT_EQ(created["success"], true) << boost::json::serialize(created);
    work("dev-1", "a.txt", "a\n");
    hub_.fail({.path = "/acme/shop.git", .status = 503, .body = "away", .times = 100});
    auto collected = collect("dev-1");
    EXPECT_EQ(collected["success"], false);
    EXPECT_EQ(collected["reason"], "infrastructure");
    EXPECT_THAT(error_of(collected), HasSubstr("503"));
    EXPECT_THAT(files_with_a_token(), ::testing::IsEmpty());
}

TEST_F(RemotesTest, WithoutTheAppWorkIsNotCollectedHalf) {
    start();
    ASSERT_EQ(create("dev-1", url())["success"], true);
    work("dev-1", "a.txt", "a\n");
    stop();
    options_.github.reset();
    start();
    auto collected = collect("dev-1");
    EXPECT_EQ(collected["success"], false);
    EXPECT_EQ(collected["reason"], "infrastructure");
    EXPECT_THAT(error_of(collected), HasSubstr("no GitHub App is configured here"));
}

}  // namespace
}  // namespace codegen::worker_manager
