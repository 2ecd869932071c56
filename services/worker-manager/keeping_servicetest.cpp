// Workspaces that outlive their worker (keeping.cpp).
#include <fstream>

#include "services/worker-manager/tests/collect_fixture.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class KeepingTest : public CollectFixture {
  protected:
    boost::json::object keep(const std::string& request_id) {
        auto message = remove_message("dev-1", request_id);
        message["keep_workspace"] = true;
        return ask(message);
    }
    boost::json::object resume_message(const std::string& request_id) {
        auto message = create_message("dev-1", request_id);
        message["workspace"] = {{"repo_url", repository_.string()}, {"branch", "task/t1"}, {"resume", true}};
        return message;
    }
    // A worker with a commit, an unfinished file and a memory, whose body was given back.
    void make_and_keep() {
        create_with_workspace();
        shell("cd workers/dev-1/workspace && echo work > work.txt && git add . && " + commit() +
              " && echo half > half.txt && mkdir ../home/.agent && echo memory > ../home/.agent/session");
        head_ = shell("git -C workers/dev-1/workspace rev-parse HEAD");
        ASSERT_EQ(keep("k-1")["success"], true);
    }
    void expect_everything_is_back() {
        EXPECT_EQ(shell("git -C workers/dev-1/workspace rev-parse HEAD"), head_);
        EXPECT_EQ(shell("cat workers/dev-1/workspace/half.txt workers/dev-1/home/.agent/session"), "half\nmemory");
        EXPECT_EQ(runtime_->specs.at("dev-1").config.base_sha, base_)
            << "what is new is still told from what was given";
        if (::geteuid() == 0) EXPECT_EQ(shell("find workers/dev-1/workspace workers/dev-1/home ! -uid 10001"), "");
    }
    bool kept() const { return fs::exists(state() / "kept/dev-1"); }

    std::string head_;
};

TEST_F(KeepingTest, ANewBodyGoesOnInTheKeptWorkspaceAndItsWorkIsCollected) {
    make_and_keep();
    EXPECT_FALSE(runtime_->runs("dev-1")) << "its slot is free";
    EXPECT_FALSE(fs::exists(state() / "workers/dev-1"));
    EXPECT_TRUE(eventually([&] { return tokens() == 0; }));
    EXPECT_EQ(ask(resume_message("c-2"))["success"], true);
    expect_everything_is_back();
    EXPECT_TRUE(runtime_->runs("dev-1"));
    EXPECT_EQ(tokens(), 1u) << "a new one";
    shell("git -C workers/dev-1/workspace bundle create -q '" + (worker_state() / "work.bundle").string() + "' " +
          base_ + "..HEAD");
    write_result(head_, "work.bundle");
    EXPECT_EQ(collect(head_)["commit_sha"], boost::json::string(head_));
    EXPECT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_FALSE(kept());
}

TEST_F(KeepingTest, WhereItLiesIsKnownAsLongAsItLiesThere) {
    options_.sweep_interval = std::chrono::milliseconds(10);
    make_and_keep();
    const auto life = [&] { return redis({"TTL", "worker:status:dev-1"}).integer; };
    redis({"EXPIRE", "worker:status:dev-1", "600"});
    EXPECT_TRUE(eventually([&] { return life() > 86000; }));
    redis({"DEL", "worker:status:dev-1"});
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "STOPPED" && life() > 86000; }));
    EXPECT_EQ(redis({"HGET", "worker:status:dev-1", "host"}).text, options_.host);
    // Another host's worker of the name is not touched.
    redis({"HSET", "worker:status:dev-1", "host", "elsewhere", "status", "RUNNING"});
    redis({"EXPIRE", "worker:status:dev-1", "600"});
    fs::create_directories(state() / "kept/witness/workspace");
    EXPECT_TRUE(eventually([&] { return status("witness") == "STOPPED"; }));
    redis({"DEL", "worker:status:witness"});
    EXPECT_TRUE(eventually([&] { return status("witness") == "STOPPED"; })) << "a whole round";
    EXPECT_LE(life(), 600);
    EXPECT_EQ(redis({"HGET", "worker:status:dev-1", "host"}).text, "elsewhere");
}

TEST_F(KeepingTest, AnotherManagerGoesOnInIt) {
    make_and_keep();
    restart();
    EXPECT_EQ(ask(resume_message("c-2"))["success"], true);
    expect_everything_is_back();
}

TEST_F(KeepingTest, WhatItHasUsedCountsOn) {
    make_and_keep();
    const auto place = state() / "kept/dev-1/origin.json";
    auto origin = boost::json::parse(posix::read_file(place, 1u << 16).value()).as_object();
    origin.at("gateway").as_object()["api_requests"] = 41;
    std::ofstream(place) << boost::json::serialize(origin);
    EXPECT_EQ(ask(resume_message("c-2"))["success"], true);
    const auto gone = ask(remove_message("dev-1", "d-1"));
    EXPECT_EQ(gone.at("gateway").at("api_requests"), 41) << boost::json::serialize(gone);
}

TEST_F(KeepingTest, AWorkerThatStillLivesIsLeftAsItIs) {
    create_with_workspace();
    EXPECT_EQ(ask(resume_message("c-2"))["success"], true);
    EXPECT_EQ(runtime_->starts, 1);
}

TEST_F(KeepingTest, AWorkerThatHasEndedGetsANewBodyWhereItWas) {
    create_with_workspace();
    shell("echo half > workers/dev-1/workspace/half.txt");
    runtime_->kill("dev-1");
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "FAILED"; }));
    EXPECT_EQ(ask(resume_message("c-2"))["success"], true);
    EXPECT_EQ(runtime_->starts, 2);
    EXPECT_EQ(shell("cat workers/dev-1/workspace/half.txt"), "half");
}

TEST_F(KeepingTest, WhatNobodyKeptCannotBeResumed) {
    EXPECT_THAT(error_of(ask(resume_message("c-0"))), HasSubstr("no workspace of dev-1 is kept here"));
    make_and_keep();
    EXPECT_EQ(ask(remove_message("dev-1", "d-1"))["success"], true);  // of one that has no body: what is kept goes
    EXPECT_FALSE(kept());
    EXPECT_THAT(error_of(ask(resume_message("c-2"))), HasSubstr("no workspace of dev-1 is kept here"));
    EXPECT_FALSE(kept()) << "an attempt leaves nothing";
}

TEST_F(KeepingTest, ABodyThatCannotBeMadeLosesNothing) {
    make_and_keep();
    runtime_->start_error = Error{ErrorCategory::permanent, "engine", "no space left", {}};
    EXPECT_THAT(error_of(ask(resume_message("c-2"))), HasSubstr("no space left"));
    runtime_->start_error.reset();
    EXPECT_EQ(ask(resume_message("c-3"))["success"], true);
    expect_everything_is_back();
}

TEST_F(KeepingTest, ACreationThatWasCutOffTakesItAgain) {
    make_and_keep();
    runtime_->hold_images = true;
    send(resume_message("c-2"));
    EXPECT_TRUE(eventually([&] { return status("dev-1") == "STARTING"; }));
    // As if the last manager had died between its steps: workspace taken, home not yet.
    shell("mkdir -p workers/dev-1/home && mv kept/dev-1/workspace workers/dev-1/workspace");
    stop();
    runtime_->hold_images = false;
    start();
    EXPECT_EQ(answered(resume_message("c-2"))["success"], true);
    expect_everything_is_back();
}

TEST_F(KeepingTest, ADeletionThatKeepsNothingWins) {
    create_with_workspace();
    auto message = remove_message("dev-1", "k-1");
    message["keep_workspace"] = true;
    send(message);
    send(remove_message("dev-1", "d-1"));
    EXPECT_EQ(answered(message)["success"], true);
    EXPECT_EQ(answered(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_FALSE(kept());
    EXPECT_FALSE(fs::exists(state() / "workers/dev-1"));
}

TEST_F(KeepingTest, AFreshWorkerOfTheNameForgetsWhatWasKept) {
    make_and_keep();
    auto message = create_message("dev-1", "c-2");
    message["workspace"] = {{"repo_url", repository_.string()}, {"branch", "task/t1"}};
    EXPECT_EQ(ask(message)["success"], true);
    EXPECT_FALSE(kept());
    EXPECT_FALSE(fs::exists(state() / "workers/dev-1/workspace/half.txt"));
}
}  // namespace
}  // namespace codegen::worker_manager
