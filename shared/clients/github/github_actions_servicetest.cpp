// Files, secrets, workflows, logs, pull requests and protected branches, against the fake GitHub.
#include "shared/async/scope.hpp"
#include "shared/clients/github/github_fixture.hpp"

namespace codegen::clients {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kDeploy = "name: deploy\non:\n  workflow_dispatch:\n    inputs:\n      version:\n      marker:\n";

class GitHubFilesTest : public GitHubFixture {
  protected:
    void SetUp() override { hub_.add_repository("shop"); }
    // A branch with a commit of its own, by git.
    void push_work(GitHubClient& github, const std::string& branch) {
        const auto remote = run(github.git_remote("shop", github::GitRights::write)).value();
        const auto clone = (directory_ / "c").string();
        ASSERT_TRUE(git({"clone", "-q", remote.url, clone}, &remote).ok());
        ASSERT_TRUE(git({"-C", clone, "commit", "-q", "--allow-empty", "-m", "work"}).ok());
        ASSERT_TRUE(git({"-C", clone, "push", "-q", "origin", "HEAD:" + branch}, &remote).ok());
    }
};

TEST_F(GitHubFilesTest, AreReadListedAndWritten) {
    auto github = client();
    auto readme = run(github.file("shop", "README.md"));
    ASSERT_TRUE(readme) << readme.error().message;
    EXPECT_EQ(readme->content, "# shop\n");
    const std::string bytes("\0\xff binary\n", 10);
    auto commit =
        run(github.put_file({.repository = "shop", .path = "src/a b.txt", .content = bytes, .message = "add"}));
    ASSERT_TRUE(commit) << commit.error().message;
    EXPECT_EQ(*commit, hub_.branch("shop", "main"));
    EXPECT_EQ(run(github.file("shop", "src/a b.txt"))->content, bytes);
    EXPECT_EQ(run(github.file("shop", "src/a b.txt", **commit))->content, bytes);
    // The same again: nothing to do.
    commit = run(github.put_file({.repository = "shop", .path = "src/a b.txt", .content = bytes, .message = "add"}));
    ASSERT_TRUE(commit) << commit.error().message;
    EXPECT_FALSE(*commit);
    commit = run(github.put_file({.repository = "shop", .path = "src/a b.txt", .content = "new", .message = "change"}));
    ASSERT_TRUE(commit) << commit.error().message;
    EXPECT_EQ(hub_.file("shop", "main", "src/a b.txt"), "new");

    const auto top = run(github.files("shop"));
    ASSERT_TRUE(top) << top.error().message;
    ASSERT_EQ(top->size(), 2u);
    EXPECT_EQ((*top)[0].name, "README.md");
    EXPECT_EQ((*top)[0].type, "file");
    EXPECT_EQ((*top)[1].type, "dir");
    const auto below = run(github.files("shop", "src"));
    ASSERT_TRUE(below) << below.error().message;
    EXPECT_EQ(below->front().path, "src/a b.txt");
}

TEST_F(GitHubFilesTest, LargeOnesComeAsBlobs) {
    const std::string large(1'500'000, 'x');
    auto github = client();
    ASSERT_TRUE(run(github.put_file({.repository = "shop", .path = "large", .content = large, .message = "add"})));
    const auto found = run(github.file("shop", "large"));
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->content, large);
    EXPECT_EQ(hub_.count("GET", "/repos/acme/shop/git/blobs/"), 1u);
}

TEST_F(GitHubFilesTest, WhatIsNoFileIsSaid) {
    auto github = client();
    ASSERT_TRUE(run(github.put_file({.repository = "shop", .path = "src/a", .content = "a", .message = "add"})));
    const auto folder = run(github.file("shop", "src"));
    ASSERT_FALSE(folder);
    EXPECT_EQ(folder.error().code, "invalid");
    EXPECT_THAT(folder.error().message, HasSubstr("acme/shop HEAD:src: is not a file"));
    const auto missing = run(github.file("shop", "nothing", "main"));
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, "not_found");
    EXPECT_THAT(missing.error().message, HasSubstr("acme/shop main:nothing"));
    EXPECT_FALSE(run(github.file("shop", "../other/README.md")));
}

TEST_F(GitHubFilesTest, Fault409WhenTheVersionIsNotTheOneToReplace) {
    auto github = client();
    const auto refused = run(github.put_file({.repository = "shop",
                                              .path = "README.md",
                                              .content = "new",
                                              .message = "change",
                                              .sha = "0123456789012345678901234567890123456789"}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "conflict");
    EXPECT_THAT(refused.error().message, HasSubstr("409 README.md does not match"));
}

TEST_F(GitHubFilesTest, FaultTimeoutAfterTheEffectOfWritingAFile) {
    auto o = options();
    o.timeout = 1s;
    auto github = GitHubClient::make(io_.get_executor(), o).value();
    hub_.fail({.method = "PUT", .path = "/repos/acme/shop/contents", .after_effect = true, .hangs = true});
    const auto written = run(github.put_file({.repository = "shop", .path = "a", .content = "a", .message = "add"}));
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(hub_.file("shop", "main", "a"), "a");
    EXPECT_EQ(hub_.count("PUT", "/repos/acme/shop/contents"), 1u);
}

TEST_F(GitHubFilesTest, SecretsAreSealedForTheRepository) {
    auto github = client();
    auto put = run(github.put_secret("shop", "DEPLOY_KEY", "p@ss\nword"));
    ASSERT_TRUE(put) << put.error().message;
    ASSERT_TRUE(run(github.put_secret("shop", "DEPLOY_KEY", "second")));
    ASSERT_TRUE(run(github.put_secret("shop", "OTHER", "")));
    EXPECT_EQ(hub_.secrets("shop").at("DEPLOY_KEY"), "second");
    EXPECT_THAT(*run(github.secrets("shop")), ElementsAre("DEPLOY_KEY", "OTHER"));
    for (const auto& request : hub_.requests()) EXPECT_THAT(request.body, Not(HasSubstr("second")));
    EXPECT_TRUE(run(github.delete_secret("shop", "OTHER")));
    EXPECT_TRUE(run(github.delete_secret("shop", "OTHER")));
    EXPECT_THAT(*run(github.secrets("shop")), ElementsAre("DEPLOY_KEY"));
    put = run(github.put_secret("shop", "GITHUB_X", "second"));
    ASSERT_FALSE(put);
    EXPECT_THAT(put.error().message, Not(HasSubstr("second")));
}

TEST_F(GitHubFilesTest, PullRequestsAreMadeOnceLookedAtAndMerged) {
    auto github = client();
    ASSERT_TRUE(run(github.put_file({.repository = "shop", .path = "x", .content = "x", .message = "m"})));
    push_work(github, "task/1");

    const github::NewPullRequest wanted{.repository = "shop", .head = "task/1", .base = "main", .title = "Work"};
    const auto made = run(github.create_pull_request(wanted));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->head.sha, hub_.branch("shop", "task/1"));
    const auto again = run(github.create_pull_request(wanted));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->number, made->number);
    EXPECT_EQ(hub_.pull_requests("shop"), 1u);

    hub_.set_checks("shop", {{{"name", "test"}, {"status", "completed"}, {"conclusion", "failure"}}});
    const auto status = run(github.pull_request_status("shop", made->number));
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(status->checks, github::Checks::failed);
    EXPECT_THAT(status->failing, ElementsAre("test"));

    github::Merge merge{.repository = "shop", .number = made->number, .head_sha = std::string(40, '0')};
    auto merged = run(github.merge_pull_request(merge));
    ASSERT_FALSE(merged);
    EXPECT_EQ(merged.error().code, "conflict");
    merge.head_sha = made->head.sha;
    hub_.fail({.method = "PUT", .path = "/repos/acme/shop/pulls/1/merge", .status = 502, .after_effect = true});
    merged = run(github.merge_pull_request(merge));
    ASSERT_TRUE(merged) << merged.error().message;
    EXPECT_EQ(*merged, hub_.branch("shop", "main"));
    EXPECT_TRUE(run(github.merge_pull_request(merge)));  // it was before
    EXPECT_TRUE(run(github.pull_request("shop", made->number))->merged);
}

TEST_F(GitHubFilesTest, FaultTimeoutAfterTheEffectOfCreatingAPullRequest) {
    auto github = client();
    ASSERT_TRUE(run(github.put_file({.repository = "shop", .path = "x", .content = "x", .message = "m"})));
    push_work(github, "task/1");
    auto o = options();
    o.timeout = 1s;
    auto hasty = GitHubClient::make(io_.get_executor(), o).value();
    hub_.fail({.method = "POST", .path = "/repos/acme/shop/pulls", .after_effect = true, .hangs = true});
    const auto made =
        run(hasty.create_pull_request({.repository = "shop", .head = "task/1", .base = "main", .title = "Work"}));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(hub_.pull_requests("shop"), 1u);
}

TEST_F(GitHubFilesTest, Fault422OfAPullRequestWithoutCommits) {
    auto github = client();
    const auto refused =
        run(github.create_pull_request({.repository = "shop", .head = "main", .base = "main", .title = "Work"}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "invalid");
    EXPECT_THAT(refused.error().message, HasSubstr("No commits between main and main"));
}

TEST_F(GitHubFilesTest, ProtectedBranchesRefuseAPush) {
    auto github = client();
    EXPECT_FALSE(*run(github.branch_protection("shop", "main")));
    auto done = run(github.protect_branch(
        "shop", "main", {.required_checks = {"test", "lint"}, .up_to_date = true, .required_approvals = 1}));
    ASSERT_TRUE(done) << done.error().message;
    const auto rules = run(github.branch_protection("shop", "main"));
    ASSERT_TRUE(rules && *rules);
    EXPECT_THAT((*rules)->required_checks, ElementsAre("test", "lint"));
    EXPECT_TRUE((*rules)->up_to_date);
    EXPECT_EQ((*rules)->required_approvals, 1);
    EXPECT_TRUE((*rules)->binds_admins);
    const auto remote = run(github.git_remote("shop", github::GitRights::write)).value();
    const auto clone = (directory_ / "c").string();
    ASSERT_TRUE(git({"clone", "-q", remote.url, clone}, &remote).ok());
    ASSERT_TRUE(git({"-C", clone, "commit", "-q", "--allow-empty", "-m", "work"}).ok());
    const auto refused = git({"-C", clone, "push", "-q", "origin", "HEAD:main"}, &remote);
    EXPECT_THAT(refused.errors, HasSubstr("GH006"));
    EXPECT_TRUE(run(github.unprotect_branch("shop", "main")));
    EXPECT_TRUE(run(github.unprotect_branch("shop", "main")));
    EXPECT_TRUE(git({"-C", clone, "push", "-q", "origin", "HEAD:main"}, &remote).ok());
    done = run(github.protect_branch("shop", "nowhere", {}));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, "not_found");
}

class GitHubWorkflowTest : public ::testing::Test {
  protected:
    void start(testing::FakeGitHubOptions given, const std::string& workflow = kDeploy) {
        hub_ = std::make_unique<testing::FakeGitHub>(std::move(given));
        auto o = testing::client_options(*hub_);
        o.poll_interval = 10ms;
        o.timeout = 2s;
        github_.emplace(GitHubClient::make(io_.get_executor(), o).value());
        hub_->add_repository("shop");
        const auto added = run(github_->put_file(
            {.repository = "shop", .path = ".github/workflows/deploy.yml", .content = workflow, .message = "add"}));
        ASSERT_TRUE(added) << added.error().message;
    }
    template <class T>
    T run(Task<T> task) {
        return testing::run(io_, std::move(task));
    }
    static github::Dispatch deploy(std::string marker = {}) {
        return {.repository = "shop",
                .workflow = "deploy.yml",
                .ref = "main",
                .inputs = {{"version", "1"}},
                .marker_input = std::move(marker)};
    }

    asio::io_context io_;
    std::unique_ptr<testing::FakeGitHub> hub_;
    std::optional<GitHubClient> github_;
};

TEST_F(GitHubWorkflowTest, GitHubNamesTheRun) {
    start({});
    hub_->add_run("shop", "deploy.yml", "main");
    const auto started = run(github_->dispatch(deploy()));
    ASSERT_TRUE(started) << started.error().message;
    const auto other = hub_->add_run("shop", "deploy.yml", "main");
    EXPECT_EQ(started->head_branch, "main");
    EXPECT_LT(started->id, other);
    EXPECT_FALSE(started->completed());
    EXPECT_EQ(run(github_->workflow_runs("shop", "main"))->size(), 3u);
    EXPECT_EQ(run(github_->workflow_runs("shop", "other"))->size(), 0u);
}

TEST_F(GitHubWorkflowTest, AnOlderServerIsLookedThroughUntilTheRunAppears) {
    start({.returns_run_details = false, .run_appears_after = 3});
    hub_->add_run("shop", "deploy.yml", "main");
    hub_->add_run("shop", "other.yml", "main");
    const auto started = run(github_->dispatch(deploy()));
    ASSERT_TRUE(started) << started.error().message;
    EXPECT_EQ(started->name, "deploy.yml");
    EXPECT_GE(hub_->count("GET", "/repos/acme/shop/actions/workflows/deploy.yml/runs"), 4u);
}

TEST_F(GitHubWorkflowTest, TheMarkerTellsRunsApartThatWereStartedAtOnce) {
    start({.returns_run_details = false, .run_appears_after = 2},
          "run-name: Deploy ${{ inputs.marker }}\non:\n  workflow_dispatch:\n    inputs: {version: , marker: }\n");
    async::Scope scope(io_.get_executor());
    std::vector<std::int64_t> ids;
    for (int i = 0; i < 5; ++i)
        scope.spawn("dispatch", [](GitHubClient github, std::vector<std::int64_t>* found) -> Task<void> {
            auto started = co_await github.dispatch(deploy("marker"), 20s);
            EXPECT_TRUE(started) << started.error().message;
            if (started) found->push_back(started->id);
        }(*github_, &ids));
    run(scope.drain());
    std::ranges::sort(ids);
    EXPECT_EQ(ids.size(), 5u);
    EXPECT_EQ(std::ranges::unique(ids).size(), 0u);
}

TEST_F(GitHubWorkflowTest, FaultTimeoutAfterTheEffectOfADispatchFindsItsRun) {
    start({});
    hub_->fail({.method = "POST", .path = "/repos/acme/shop/actions", .after_effect = true, .cuts = true});
    const auto started = run(github_->dispatch(deploy()));
    ASSERT_TRUE(started) << started.error().message;
    EXPECT_EQ(hub_->count("POST", "/repos/acme/shop/actions"), 1u) << "dispatched twice";
}

TEST_F(GitHubWorkflowTest, ADispatchThatHadNoEffectIsReportedAndNotRepeated) {
    start({});
    hub_->fail({.method = "POST", .path = "/repos/acme/shop/actions", .status = 503});
    const auto started = run(github_->dispatch(deploy(), 100ms));
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().category, ErrorCategory::transient);
    EXPECT_THAT(started.error().message,
                HasSubstr("shop: dispatch deploy.yml on main: GitHub: dispatch workflow: 503"));
    EXPECT_EQ(hub_->count("POST", "/repos/acme/shop/actions"), 1u);
}

// While it looks for the run; whoever is told "try again" would start a second one.
TEST_F(GitHubWorkflowTest, FaultRateLimitAfterADispatchIsWaitedForAndNeverRepeated) {
    start({});
    const auto limited = [&](const std::string& seconds, int times) {
        hub_->fail({.method = "GET",
                    .path = "/repos/acme/shop/actions/runs/",
                    .status = 429,
                    .body = R"({"message": "You have exceeded a secondary rate limit."})",
                    .headers = {{"Retry-After", seconds}},
                    .times = times});
    };
    limited("1", 1);
    const auto started = run(github_->dispatch(deploy(), 20s));
    ASSERT_TRUE(started) << started.error().message;
    EXPECT_EQ(hub_->count("POST", "/repos/acme/shop/actions"), 1u);
    hub_->end_run("shop", started->id, "success");
    limited("1", 1);
    const auto ended = run(github_->wait_for_run("shop", started->id, 20s));
    ASSERT_TRUE(ended) << ended.error().message;
    EXPECT_EQ(ended->conclusion, "success");
    // Longer than anybody waits: it says that it is dispatched, and is nothing that is tried again.
    limited("600", 1);
    const auto lost = run(github_->dispatch(deploy(), 5s));
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, "dispatched");
    EXPECT_EQ(lost.error().category, ErrorCategory::permanent);
    EXPECT_THAT(lost.error().message, AllOf(HasSubstr("GitHub took it"), HasSubstr("rate limit")));
}

TEST_F(GitHubWorkflowTest, AWorkflowThatIsNotThereOrTakesNoDispatchIsSaid) {
    start({}, "on: push\n");
    auto refused = run(github_->dispatch(deploy()));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("does not have 'workflow_dispatch' trigger"));
    auto other = deploy();
    other.workflow = "nothing.yml";
    EXPECT_EQ(run(github_->dispatch(other)).error().code, "not_found");
    other.workflow = "../x.yml";
    EXPECT_EQ(run(github_->dispatch(other)).error().code, "invalid");
}

TEST_F(GitHubWorkflowTest, RunsAreAwaitedAndCancelled) {
    start({});
    const auto started = run(github_->dispatch(deploy())).value();
    const auto waited = run(github_->wait_for_run("shop", started.id, 50ms));
    ASSERT_FALSE(waited);
    EXPECT_EQ(waited.error().code, "timeout");
    async::Scope scope(io_.get_executor());
    std::string conclusion;
    scope.spawn("wait", [](GitHubClient github, std::int64_t id, std::string* out) -> Task<void> {
        auto ended = co_await github.wait_for_run("shop", id, 20s);
        if (ended) *out = ended->conclusion.value_or("");
    }(*github_, started.id, &conclusion));
    hub_->end_run("shop", started.id, "failure");
    run(scope.drain());
    EXPECT_EQ(conclusion, "failure");
    EXPECT_TRUE(run(github_->cancel_run("shop", started.id)));  // it has ended
    const auto second = run(github_->dispatch(deploy())).value();
    EXPECT_TRUE(run(github_->cancel_run("shop", second.id)));
    EXPECT_EQ(run(github_->workflow_run("shop", second.id))->conclusion, "cancelled");
}

TEST_F(GitHubWorkflowTest, LogsComeFromElsewhereWithoutOurToken) {
    start({});
    const auto started = run(github_->dispatch(deploy())).value();
    EXPECT_EQ(run(github_->run_logs("shop", started.id)).error().code, "not_found");
    hub_->end_run("shop", started.id, "success", zip_of({{"0_deploy.txt", "deployed\n"}}));
    const auto logs = run(github_->run_logs("shop", started.id));
    ASSERT_TRUE(logs) << logs.error().message;
    ASSERT_EQ(logs->size(), 1u);
    EXPECT_EQ(logs->front().text, "deployed\n");
    const auto large = run(github_->run_logs("shop", started.id, {.archive_bytes = 20}));
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().code, "too_large");
    EXPECT_THAT(large.error().message, Not(HasSubstr("signed")));
    hub_->end_run("shop", started.id, "success", zip_of({{"../../etc/cron.d/x", "x"}}));
    EXPECT_EQ(run(github_->run_logs("shop", started.id)).error().code, "invalid");
}

}  // namespace
}  // namespace codegen::clients
