// Workspaces in, commits out: what is taken from a worker's tree and what is refused.
#include <sys/stat.h>

#include <fstream>

#include "services/worker-manager/tests/collect_fixture.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

using CollectTest = CollectFixture;

TEST_F(CollectTest, TheWorkspaceIsACloneThatSharesNothing) {
    create_with_workspace();
    const auto workspace = state() / "workers/dev-1/workspace";
    if (::geteuid() == 0) {
        EXPECT_EQ(shell("find workers/dev-1/workspace ! -uid 10001"), "");
        EXPECT_EQ(shell("find repositories -uid 10001"), "");
    }
    EXPECT_EQ(shell("git -C workers/dev-1/workspace symbolic-ref HEAD"), "refs/heads/task/t1");
    EXPECT_EQ(shell("git -C workers/dev-1/workspace remote"), "");
    EXPECT_EQ(shell("git -C workers/dev-1/workspace status --porcelain"), "");
    EXPECT_EQ(shell("git -C workers/dev-1/workspace rev-parse HEAD"), base_);
    EXPECT_FALSE(fs::exists(workspace / ".git/objects/info/alternates"));
    EXPECT_EQ(shell("find workers/dev-1/workspace -type f -links +1"), "");
    EXPECT_EQ(shell("stat -c %a workers workers/dev-1 workers/dev-1/state workers/dev-1/home"), "711\n711\n700\n700");
}

TEST_F(CollectTest, NewCommitsArriveOnTheTasksBranch) {
    finish("echo one > one && git add . && " + commit() + " && mkdir d && echo two > d/two && git add . && " +
           commit());
    const auto head = shell("git -C workers/dev-1/workspace rev-parse HEAD");
    auto response = collect(head);
    EXPECT_EQ(response["success"], true) << boost::json::serialize(response);
    EXPECT_EQ(response["commit_sha"].as_string(), head);
    EXPECT_EQ(response["commits"], 2);
    EXPECT_EQ(boost::json::serialize(response["files_changed"]), R"(["d/two","one"])");
    EXPECT_TRUE(response["gateway"].is_object());
    EXPECT_EQ(shell("git -C '" + repository_.string() + "' rev-parse refs/heads/task/t1"), head);
    EXPECT_EQ(shell("git -C '" + repository_.string() + "' rev-parse refs/heads/main"), base_);
    shell("git -C '" + repository_.string() + "' fsck --strict");
    // Once more: the same.
    EXPECT_EQ(collect(head)["commit_sha"].as_string(), head);
    EXPECT_EQ(collect(head.substr(0, 10))["success"], true);
    EXPECT_TRUE(fs::is_empty(state() / "quarantine"));
}

TEST_F(CollectTest, NothingNewIsNoCommit) {
    finish("true");
    auto response = collect();
    EXPECT_EQ(response["success"], true) << boost::json::serialize(response);
    EXPECT_FALSE(response.contains("commit_sha"));
    EXPECT_EQ(response["commits"], 0);
    EXPECT_EQ(collect(base_)["reason"], "no_commit");
    EXPECT_EQ(collect(std::string(40, 'a'))["reason"], "commit_missing");
    EXPECT_FALSE(has_branch());
}

TEST_F(CollectTest, AClaimThatDoesNotHoldIsSaid) {
    finish("git checkout -q -b other && echo x > x && git add . && " + commit() +
           " && git checkout -q task/t1 && echo y > y && git add . && " + commit());
    EXPECT_EQ(collect(std::string(40, 'b'))["reason"], "commit_missing");
    EXPECT_EQ(collect("--output=/tmp/x")["reason"], "commit_missing");
    EXPECT_EQ(collect(shell("git -C workers/dev-1/workspace rev-parse other"))["reason"], "commit_missing");
    EXPECT_EQ(collect(base_)["reason"], "no_commit");
    EXPECT_FALSE(has_branch());
}

TEST_F(CollectTest, OtherBranchesThanTasksAreNotWritten) {
    finish("echo one > one && git add . && " + commit());
    for (const auto* branch : {"main", "task/../main", "task/a/b", "refs/heads/main", "task/", "task/-x.lock"})
        EXPECT_EQ(collect({}, branch)["success"], false) << branch;
    EXPECT_EQ(shell("git -C '" + repository_.string() + "' rev-parse refs/heads/main"), base_);
}

TEST_F(CollectTest, AHostileTreeDoesNothingOnTheHost) {
    const auto trap = (state() / "trapped").string();
    finish("printf '#!/bin/sh\\ntouch " + trap +
           "\\n' > evil && chmod +x evil && mkdir -p .git/hooks && for h in post-checkout pre-push post-receive update "
           "reference-transaction post-update; do cp evil .git/hooks/$h; done && "
           "git config core.fsmonitor \"$PWD/evil\" && git config core.hooksPath \"$PWD\" && git config filter.x.clean "
           "\"$PWD/evil\" && git config filter.x.smudge \"$PWD/evil\" && "
           "git config uploadpack.packObjectsHook \"$PWD/evil\" && git config core.sshCommand \"$PWD/evil\" && "
           "echo '* filter=x diff=x' > .gitattributes && ln -s /etc/passwd out && ln -s ../../../.. up && cp evil "
           "post-receive && "
           "GIT_CONFIG_COUNT=3 GIT_CONFIG_KEY_0=core.fsmonitor GIT_CONFIG_VALUE_0=false "
           "GIT_CONFIG_KEY_1=filter.x.clean GIT_CONFIG_VALUE_1=cat GIT_CONFIG_KEY_2=safe.directory "
           "GIT_CONFIG_VALUE_2='*' bash -c 'git -c core.hooksPath=/dev/null add . && " +
           commit() + "' && rm -f " + trap);
    fs::remove(trap);
    auto response = collect();
    EXPECT_EQ(response["success"], true) << boost::json::serialize(response);
    EXPECT_FALSE(fs::exists(trap)) << "a hook or filter of the worker's repository ran";
    // The next worker starts from that commit: its checkout runs nothing either.
    ask(remove_message("dev-1", "d-1"));
    auto message = create_message("dev-2", "c-2");
    message["workspace"] = {{"repo_url", repository_.string()}, {"base_ref", "task/t1"}, {"branch", "task/t2"}};
    EXPECT_EQ(ask(message)["success"], true);
    EXPECT_FALSE(fs::exists(trap));
    EXPECT_TRUE(fs::is_symlink(state() / "workers/dev-2/workspace/out"));
    struct stat st{};
    ASSERT_EQ(::stat("/etc/passwd", &st), 0);
    EXPECT_EQ(st.st_uid, 0u) << "giving the workspace away followed a symlink";
}

TEST_F(CollectTest, TooMuchIsRejectedWithFigureAndLimit) {
    finish("head -c 200M /dev/zero > zeros && git add . && " + commit());
    auto zeros = collect();
    EXPECT_EQ(zeros["reason"], "commit_rejected");
    EXPECT_THAT(error_of(zeros), HasSubstr("unpack to 20971"));
    EXPECT_THAT(error_of(zeros), HasSubstr("limit is 167772160"));
    shell("cd workers/dev-1/workspace && git reset -q --hard " + base_ +
          " && head -c 200M /dev/urandom > noise && git add . && " + commit());
    const auto head = shell("git -C workers/dev-1/workspace rev-parse HEAD");
    shell("git -C workers/dev-1/workspace bundle create -q '" + (worker_state() / "noise.bundle").string() + "' " +
          base_ + "..HEAD");
    write_result(head, "noise.bundle");
    auto noise = collect();
    EXPECT_EQ(noise["reason"], "commit_rejected");
    EXPECT_THAT(error_of(noise), HasSubstr("the bundle has 2097"));
    EXPECT_THAT(error_of(noise), HasSubstr("limit is 104857600"));
    write_result(head, std::nullopt, "the bundle would have 200 bytes, the limit is 100");
    auto own = collect();
    EXPECT_EQ(own["reason"], "commit_rejected");
    EXPECT_FALSE(has_branch());
    EXPECT_TRUE(fs::is_empty(state() / "quarantine"));
}

// Each level names the one below ten times.
constexpr auto kTreeBomb = R"(o=$(echo hi | git hash-object -w --stdin); m=100644; t=blob
for l in $(seq 10); do
    o=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '%s %s %s\td%s\n' $m $t $o $i; done | git mktree); m=040000; t=tree
done
)";

TEST_F(CollectTest, ATreeThatExpandsBeyondTheLimitIsRejectedAtOnce) {
    finish(kTreeBomb + ("c=$(" + identity() + " git commit-tree $o -p HEAD -m bomb) && git update-ref HEAD $c"));
    const auto begin = std::chrono::steady_clock::now();
    auto bomb = collect();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
    EXPECT_EQ(bomb["reason"], "commit_rejected");
    EXPECT_THAT(error_of(bomb), HasSubstr("the commit has 11111111110 paths, its base 1; the limit is 200000 more"));
    EXPECT_FALSE(has_branch());
    EXPECT_TRUE(fs::is_empty(state() / "quarantine"));
}

TEST_F(CollectTest, ManyFilesAreCollectedUpToTheLimitAndNamedUpToTheirs) {
    const auto files = [](int count) {
        return "o=$(echo hi | git hash-object -w --stdin) && t=$(seq " + std::to_string(count) +
               " | sed \"s/.*/100644 blob $o\\tf&/\" | git mktree) && c=$(" + identity() + " git commit-tree $t -p " +
               "HEAD -m many) && git update-ref HEAD $c";
    };
    finish(files(260000));
    auto many = collect();
    EXPECT_EQ(many["reason"], "commit_rejected");
    EXPECT_THAT(error_of(many), HasSubstr("has 260000 paths, its base 1; the limit is 200000 more"));
    EXPECT_FALSE(has_branch());
    shell("cd workers/dev-1/workspace && git update-ref HEAD " + base_ + " && " + files(150000) +
          " && git bundle create -q '" + (worker_state() / "fewer.bundle").string() + "' " + base_ + "..HEAD");
    write_result(shell("git -C workers/dev-1/workspace rev-parse HEAD"), "fewer.bundle");
    auto fewer = collect();
    EXPECT_EQ(fewer["success"], true) << boost::json::serialize(fewer);
    EXPECT_EQ(fewer["files_changed"].as_array().size(), kMaxFilesNamed);
}

TEST_F(CollectTest, GitBeyondItsBoundsOnTheWorkersBytesIsARejection) {
    // One folder of 80 MB, which unpacks within the limit, but is more than is read of folders.
    finish(
        "o=$(echo hi | git hash-object -w --stdin) && t=$(seq -f '%0240.0f' 300000 | sed \"s/.*/100644 blob "
        "$o\\t&/\" | git mktree) && c=$(" +
        identity() + " git commit-tree $t -p HEAD -m wide) && git update-ref HEAD $c");
    auto wide = collect();
    EXPECT_EQ(wide["reason"], "commit_rejected");
    EXPECT_THAT(error_of(wide), HasSubstr("git cat-file: stopped because it wrote too much"));
    EXPECT_FALSE(has_branch());
    EXPECT_TRUE(fs::is_empty(state() / "quarantine"));
}

TEST_F(CollectTest, OnlyOurOwnTroubleIsInfrastructure) {
    finish("echo one > one && git add . && " + commit());
    const auto elsewhere = state() / "repositories" / "elsewhere.git";
    fs::rename(repository_, elsewhere);
    auto missing = collect();
    EXPECT_EQ(missing["reason"], "infrastructure");
    EXPECT_THAT(error_of(missing), HasSubstr("demo.git: No such file or directory"));
    fs::rename(elsewhere, repository_);
    fs::remove_all(state() / "quarantine");
    std::ofstream(state() / "quarantine") << "not a folder";
    EXPECT_EQ(collect()["reason"], "infrastructure");
    fs::remove(state() / "quarantine");
    // A ref that cannot be written is the project's repository's trouble.
    fs::create_directories(repository_ / "refs/heads/task/t1");
    std::ofstream(repository_ / "refs/heads/task/t1/x") << base_ << "\n";
    EXPECT_EQ(collect()["reason"], "infrastructure");
    fs::remove_all(repository_ / "refs/heads/task/t1");
    EXPECT_EQ(collect()["success"], true);
}

TEST_F(CollectTest, AnUnrelatedHistoryIsRejected) {
    finish("git checkout -q --orphan elsewhere && echo x > x && git add . && " + commit() +
           " && git branch -q -f task/t1 && git checkout -q task/t1");
    EXPECT_EQ(collect()["reason"], "commit_rejected");
    EXPECT_FALSE(has_branch());
}

TEST_F(CollectTest, ABundleThatIsNoneIsRejected) {
    finish("echo one > one && git add . && " + commit());
    const auto head = shell("git -C workers/dev-1/workspace rev-parse HEAD");
    const auto good = posix::read_file(worker_state() / "work.bundle", 1 << 20).value();
    const auto with = [&](std::string content) {
        EXPECT_TRUE(posix::write_file_atomically(worker_state() / "bad.bundle", content, 0600));
        write_result(head, "bad.bundle");
        return collect()["reason"];
    };
    EXPECT_EQ(with("garbage"), "commit_rejected");
    EXPECT_EQ(with(""), "commit_rejected");
    EXPECT_EQ(with(good.substr(0, good.size() - 30)), "commit_rejected");
    auto flipped = good;
    flipped[flipped.size() - 40] = static_cast<char>(flipped[flipped.size() - 40] ^ 0x55);
    EXPECT_EQ(with(flipped), "commit_rejected");
    fs::remove(worker_state() / "bad.bundle");
    fs::create_symlink("/etc/passwd", worker_state() / "bad.bundle");
    EXPECT_EQ(collect()["reason"], "commit_rejected");
    write_result(head, "../../../codegen.db");
    EXPECT_EQ(collect()["reason"], "commit_rejected");
    write_result(std::string(40, 'c'), "work.bundle");
    EXPECT_EQ(collect()["reason"], "commit_rejected");
    EXPECT_FALSE(has_branch());
}

}  // namespace
}  // namespace codegen::worker_manager
