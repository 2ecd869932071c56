// What the manager does for a person's worker when things fail; with real bodies: tests/integration/product_owner.
#include <gtest/gtest.h>

#include "services/worker-manager/tests/service_fixture.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;

class ProductOwnerTest : public ServiceFixture {
  protected:
    void SetUp() override {
        ServiceFixture::SetUp();
        options_.sweep_interval = std::chrono::milliseconds(20);
    }
    boost::json::object create(const std::string& name, const std::string& user = "1") {
        auto message = create_message(name, "create-" + name);
        message["config"].as_object()["worker_type"] = "po";
        message["context"].as_object()["user_id"] = user;
        send(message);
        auto found = answer("worker:responses:po", "create-" + name);
        EXPECT_TRUE(found) << name;
        return found.value_or(boost::json::object{});
    }
    void say(const std::string& name, const std::string& request) {
        send({{"request_id", request}, {"user_id", 1}, {"prompt", "hello"}}, "worker:po:" + name + ":input");
    }
    // What a wrapper does first.
    void make_groups(const std::string& name) {
        for (const auto& stream : {"worker:" + name + ":input", "worker:po:" + name + ":input"})
            redis({"XGROUP", "CREATE", stream, "worker-wrapper", "0", "MKSTREAM"});
    }
    bool becomes(const std::string& name, const std::string& state) {
        return eventually([&] { return status(name) == state; });
    }
};

TEST_F(ProductOwnerTest, EachPersonHasOneOfItsOwn) {
    start();
    EXPECT_EQ(create("po-1")["worker_id"], "po-1");
    EXPECT_EQ(create("po-2")["worker_id"], "po-1");
    const auto body = boost::json::serialize(boost::json::object{{"telegram_id", 4711}});
    const auto made = run(admin_->call("POST", "/api/users", body));
    ASSERT_TRUE(made) << made.error().message;
    const auto user = std::to_string(boost::json::parse(*made).at("id").as_int64());
    EXPECT_EQ(create("po-3", user)["worker_id"], "po-3");
    EXPECT_EQ(redis({"GET", "session:" + user}).text, "po-3");
    EXPECT_EQ(runtime_->starts, 2);
}

TEST_F(ProductOwnerTest, OneThatCannotBeMadeServesNobody) {
    runtime_->start_error = Error{ErrorCategory::permanent, "engine", "no space left", {}};
    start();
    EXPECT_EQ(create("po-1")["success"], false);
    EXPECT_TRUE(eventually([&] { return redis({"EXISTS", "session:1"}).integer == 0; }));
    runtime_->start_error.reset();
    EXPECT_EQ(create("po-2")["worker_id"], "po-2");
    EXPECT_EQ(redis({"GET", "session:1"}).text, "po-2");
}

TEST_F(ProductOwnerTest, AnEngineThatDoesNotWakeItIsAskedAgain) {
    options_.idle.pause = std::chrono::milliseconds(50);
    start();
    create("po-1");
    make_groups("po-1");
    ASSERT_TRUE(becomes("po-1", "PAUSED"));
    EXPECT_TRUE(runtime_->paused.contains("po-1"));
    runtime_->unreachable = true;
    say("po-1", "r1");
    auto asked = runtime_->refused;
    ASSERT_TRUE(eventually([&] { return runtime_->refused > asked; }));
    EXPECT_EQ(status("po-1"), "PAUSED");
    runtime_->unreachable = false;
    EXPECT_TRUE(becomes("po-1", "RUNNING"));
    EXPECT_FALSE(runtime_->paused.contains("po-1"));
    // Nobody takes the message, so it is in flight: no more sleep.
    EXPECT_EQ(redis({"XLEN", "worker:po:po-1:input"}).integer, 1);
}

TEST_F(ProductOwnerTest, AManagerThatStartsWakesWhoSleeps) {
    options_.idle.pause = std::chrono::milliseconds(50);
    start();
    create("po-1");
    make_groups("po-1");
    ASSERT_TRUE(becomes("po-1", "PAUSED"));
    stop();
    options_.idle.pause = std::chrono::milliseconds(0);
    start();
    EXPECT_TRUE(becomes("po-1", "RUNNING"));
    EXPECT_TRUE(runtime_->paused.empty());
}

TEST_F(ProductOwnerTest, WhatWasSentToOneThatCannotBeMadeAgainIsAnsweredOnce) {
    start();
    create("po-1");
    make_groups("po-1");
    say("po-1", "r1");
    redis({"XREADGROUP", "GROUP", "worker-wrapper", "po-1", "STREAMS", "worker:po:po-1:input", ">"});
    say("po-1", "r2");
    runtime_->start_error = Error{ErrorCategory::permanent, "invalid", "no such image", {}};
    runtime_->kill("po-1");
    ASSERT_TRUE(becomes("po-1", "FAILED"));
    for (const auto* request : {"r1", "r2"}) {
        auto said = answer("worker:po:po-1:output", request);
        ASSERT_TRUE(said) << request;
        EXPECT_THAT(std::string((*said)["text"].as_string()), HasSubstr("I could not answer: the worker has ended"));
        EXPECT_EQ((*said)["is_final"], true);
    }
    say("po-1", "r3");
    ASSERT_TRUE(answer("worker:po:po-1:output", "r3")) << "nobody else would ever answer";
    EXPECT_EQ(messages("worker:po:po-1:output").size(), 3u);
    EXPECT_TRUE(eventually(
        [&] { return redis({"XPENDING", "worker:po:po-1:input", "worker-wrapper"}).elements.at(0).integer == 0; }));
}

TEST_F(ProductOwnerTest, ABodyThatDiesAgainAndAgainIsGivenUp) {
    start();
    create("po-1");
    for (int starts = 2; starts <= 4; ++starts) {
        runtime_->kill("po-1");
        ASSERT_TRUE(eventually([&] { return runtime_->starts == starts && runtime_->runs("po-1"); }));
    }
    runtime_->kill("po-1");
    EXPECT_TRUE(becomes("po-1", "FAILED"));
    EXPECT_EQ(runtime_->starts, 4);
    // A new one may be made in its place.
    auto message = create_message("po-1", "again");
    message["config"].as_object()["worker_type"] = "po";
    send(message);
    EXPECT_EQ(answer("worker:responses:po", "again").value_or(boost::json::object{})["success"], true);
}

TEST_F(ProductOwnerTest, AManagerThatDiesBeforeItMakesAnotherBodyIsFollowedByOneThatDoes) {
    start();
    create("po-1");
    runtime_->start_error = Error{ErrorCategory::transient, "unavailable", "the engine does not answer", {}};
    runtime_->kill("po-1");
    ASSERT_TRUE(eventually([&] { return redis({"HGET", "worker:status:po-1", "container_id"}).text.empty(); }));
    stop();
    runtime_->start_error.reset();
    start();
    EXPECT_TRUE(eventually([&] { return runtime_->starts == 2 && runtime_->runs("po-1"); }));
    EXPECT_EQ(status("po-1"), "RUNNING");
}

TEST_F(ProductOwnerTest, ABodyThatItsMakerCouldNotNoteIsTakenOver) {
    start();
    create("po-1");
    runtime_->hold_starts = true;
    runtime_->kill("po-1");
    ASSERT_TRUE(eventually([&] { return runtime_->starts == 2; }));
    stop();
    runtime_->hold_starts = false;
    start();
    ASSERT_TRUE(eventually([&] { return !redis({"HGET", "worker:status:po-1", "container_id"}).text.empty(); }));
    EXPECT_TRUE(runtime_->runs("po-1"));
    EXPECT_EQ(runtime_->starts, 2) << "what a person had begun in it goes on";
    // Its end is noticed.
    runtime_->kill("po-1");
    EXPECT_TRUE(eventually([&] { return runtime_->starts == 3 && runtime_->runs("po-1"); }));
}

TEST_F(ProductOwnerTest, WhatOlderWritersSentIsAnsweredToo) {
    start();
    create("po-1");
    make_groups("po-1");
    redis({"XADD", "worker:po:po-1:input", "*", "request_id", "r1", "user_id", "1", "prompt", "12"});
    runtime_->start_error = Error{ErrorCategory::permanent, "invalid", "no such image", {}};
    runtime_->kill("po-1");
    const auto said = answer("worker:po:po-1:output", "r1");
    ASSERT_TRUE(said);
    EXPECT_EQ(said->at("user_id"), 1);
}

TEST_F(ProductOwnerTest, OneThatWasRemovedIdleComesBackWhenItIsSpokenTo) {
    options_.idle = {std::chrono::milliseconds(30), std::chrono::milliseconds(200)};
    start();
    create("po-1");
    make_groups("po-1");
    ASSERT_TRUE(becomes("po-1", "STOPPED"));
    EXPECT_TRUE(eventually([&] { return !runtime_->runs("po-1"); }));
    EXPECT_FALSE(std::filesystem::exists(state() / "workers/po-1"));
    EXPECT_EQ(redis({"GET", "session:1"}).text, "po-1");
    EXPECT_EQ(messages("worker:responses:po").size(), 1u) << "nobody asked for its removal";
    // Also by a manager that was not there when it was removed.
    restart();
    say("po-1", "r1");
    EXPECT_TRUE(becomes("po-1", "RUNNING"));
    EXPECT_EQ(runtime_->starts, 2);
}

TEST_F(ProductOwnerTest, OneThatIsDeletedAfterThatStaysAway) {
    options_.idle = {std::chrono::milliseconds(30), std::chrono::milliseconds(200)};
    start();
    create("po-1");
    make_groups("po-1");
    ASSERT_TRUE(becomes("po-1", "STOPPED"));
    send(remove_message("po-1", "d-1"));
    ASSERT_TRUE(answer("worker:responses:po", "d-1"));
    EXPECT_TRUE(eventually([&] { return redis({"EXISTS", "worker:po:po-1:input"}).integer == 0; }));
    EXPECT_EQ(redis({"EXISTS", "session:1"}).integer, 0);
    say("po-1", "r1");
    create("po-2");  // a round trip through the manager
    EXPECT_EQ(status("po-1"), "STOPPED");
}

}  // namespace
}  // namespace codegen::worker_manager
