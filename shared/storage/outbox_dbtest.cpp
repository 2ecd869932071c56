#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>

#include "shared/async/scope.hpp"
#include "shared/storage/outbox.hpp"
#include "shared/testing/run.hpp"

namespace codegen::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A destination of the rows; `answer` decides, `silent` targets never answer.
struct Destination {
    std::vector<std::string> attempts;
    std::vector<std::string> arrived;
    std::function<Result<void>(const OutboxItem&)> answer;
    std::string silent;
    int cancelled = 0;
};

struct CountOnExit {
    ~CountOnExit() { ++*count; }
    int* count;
};

Task<Result<void>> accept(Destination* to, OutboxItem item) {
    to->attempts.push_back(item.target + ":" + item.body);
    if (item.target == to->silent) {
        const CountOnExit count{&to->cancelled};
        co_await async::sleep_for(std::chrono::hours(1));
    }
    auto result = to->answer ? to->answer(item) : Result<void>();
    if (result) to->arrived.push_back(item.target + ":" + item.body);
    co_return result;
}

class OutboxTest : public ::testing::Test {
  protected:
    void SetUp() override {
        auto database = open_sqlite(":memory:");
        ASSERT_TRUE(database) << database.error().message;
        database_ = std::move(*database);
        ASSERT_TRUE(testing::run(
            io_, database_->migrate("test", {Outbox::migration(1, "test"), Outbox::trace_migration(2, "test")})));
        make();
    }

    void make() {
        outbox_ = std::make_unique<Outbox>(*database_, "test",
                                           [this](OutboxItem item) { return accept(&to_, std::move(item)); });
    }
    void add(const std::string& target, const std::string& body) {
        auto added = testing::run(
            io_, database_->atomically({outbox_->insert({.kind = "stream", .target = target, .body = body})}));
        ASSERT_TRUE(added) << added.error().message;
    }
    static Task<void> wait_for(std::function<bool()> condition) {
        for (int i = 0; i < 2000 && !condition(); ++i) co_await async::sleep_for(std::chrono::milliseconds(5));
        if (!condition()) throw std::runtime_error("the condition did not come true");
    }
    static Task<void> run_while(OutboxTest* self, std::function<bool()> condition) {
        async::Scope scope(self->io_.get_executor());
        scope.spawn("outbox", self->outbox_->run());
        co_await wait_for(std::move(condition));
        co_await scope.stop();
    }
    static Task<void> run_while_filled(OutboxTest* self) {
        async::Scope scope(self->io_.get_executor());
        scope.spawn("outbox", self->outbox_->run());
        std::int64_t left = 1;
        for (int i = 0; i < 2000 && left > 0; ++i) {
            co_await async::sleep_for(std::chrono::milliseconds(5));
            auto rows = co_await self->database_->query("SELECT count(*) AS n FROM test_outbox");
            left = rows->rows.at(0).integer("n");
        }
        co_await scope.stop();
        if (left > 0) throw std::runtime_error("the outbox did not become empty");
    }
    void run_until_empty() { testing::run(io_, run_while_filled(this)); }
    void run_until(std::function<bool()> condition) { testing::run(io_, run_while(this, std::move(condition))); }
    std::int64_t count(const std::string& table) {
        auto rows = testing::run(io_, database_->query("SELECT count(*) AS n FROM " + table));
        return rows->rows.at(0).integer("n");
    }

    asio::io_context io_;
    std::unique_ptr<Database> database_;
    Destination to_;
    std::unique_ptr<Outbox> outbox_;
};

TEST_F(OutboxTest, DeliversInOrderAndForgetsWhatArrived) {
    for (int i = 0; i < 5; ++i) add("a", std::to_string(i));
    run_until_empty();
    EXPECT_THAT(to_.arrived, ElementsAre("a:0", "a:1", "a:2", "a:3", "a:4"));
    EXPECT_EQ(to_.attempts.size(), 5u);
}

TEST_F(OutboxTest, WakeDeliversWhatWasAddedWhileRunning) {
    auto scope = async::Scope(io_.get_executor());
    scope.spawn("outbox", outbox_->run());
    testing::run(io_, wait_for([] { return true; }));
    const auto before = std::chrono::steady_clock::now();
    add("a", "x");
    outbox_->wake();
    testing::run(io_, wait_for([&] { return to_.arrived.size() == 1; }));
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(500));
    add("a", "y");  // and without: found by itself
    testing::run(io_, wait_for([&] { return to_.arrived.size() == 2; }));
    testing::run(io_, scope.stop());
}

TEST_F(OutboxTest, ATransientErrorIsTriedAgainAndKeepsTheOrder) {
    int failures = 2;
    to_.answer = [&](const OutboxItem& item) -> Result<void> {
        if (item.target == "a" && failures-- > 0) return fail(ErrorCategory::transient, "timeout", "later");
        return {};
    };
    add("a", "1");
    add("a", "2");
    add("b", "1");
    run_until_empty();
    EXPECT_THAT(to_.arrived, ElementsAre("b:1", "a:1", "a:2"));
    EXPECT_THAT(to_.attempts, ElementsAre("a:1", "b:1", "a:1", "a:1", "a:2"));
}

TEST_F(OutboxTest, AttemptsAreCountedInTheRow) {
    std::vector<int> seen;
    to_.answer = [&](const OutboxItem& item) -> Result<void> {
        seen.push_back(item.attempts);
        if (seen.size() < 3) return fail(ErrorCategory::fatal, "unauthorized", "bad token");
        return {};
    };
    add("a", "1");
    run_until_empty();
    EXPECT_THAT(seen, ElementsAre(0, 1, 2));
    EXPECT_EQ(count("test_outbox_failed"), 0);
}

TEST_F(OutboxTest, APermanentErrorIsKeptAsideAndTheNextGoesOn) {
    to_.answer = [&](const OutboxItem& item) -> Result<void> {
        if (item.body == "bad") return fail(ErrorCategory::permanent, "invalid", "no such field");
        return {};
    };
    add("a", "bad");
    add("a", "good");
    run_until_empty();
    EXPECT_THAT(to_.arrived, ElementsAre("a:good"));
    auto rows = testing::run(io_, database_->query("SELECT * FROM test_outbox_failed"));
    ASSERT_EQ(rows->rows.size(), 1u);
    EXPECT_EQ(rows->rows[0].text("kind"), "stream");
    EXPECT_EQ(rows->rows[0].text("body"), "bad");
    EXPECT_EQ(rows->rows[0].text("error"), "no such field");
    EXPECT_EQ(rows->rows[0].integer("attempts"), 1);
}

TEST_F(OutboxTest, ATargetThatNeverAnswersHoldsUpNoOther) {
    to_.silent = "silent";
    add("silent", "1");
    for (int i = 0; i < 40; ++i) add("t" + std::to_string(i), "x");
    const auto before = std::chrono::steady_clock::now();
    run_until([&] { return to_.arrived.size() == 40; });
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(900));  // not by idle polling
    EXPECT_EQ(to_.cancelled, 1);
    EXPECT_EQ(count("test_outbox"), 1);  // still there, and not counted as failed
    auto rows = testing::run(io_, database_->query("SELECT attempts FROM test_outbox"));
    EXPECT_EQ(rows->rows.at(0).integer("attempts"), 0);
}

TEST_F(OutboxTest, ANewRelayDeliversWhatTheOldOneLeft) {
    add("a", "1");
    outbox_.reset();
    make();
    run_until_empty();
    EXPECT_THAT(to_.arrived, ElementsAre("a:1"));
}

TEST_F(OutboxTest, ARolledBackTransactionSendsNothing) {
    auto failed =
        testing::run(io_, database_->atomically({outbox_->insert({.kind = "stream", .target = "a", .body = "x"}),
                                                 {"UPDATE test_outbox SET body = 'y' WHERE id = -1", {}, 1}}));
    ASSERT_FALSE(failed);
    add("a", "real");
    run_until([&] { return !to_.arrived.empty(); });
    EXPECT_THAT(to_.arrived, ElementsAre("a:real"));
}

TEST_F(OutboxTest, AnUnreadableTableIsLoggedAndRecovers) {
    add("a", "1");
    ASSERT_TRUE(testing::run(io_, database_->query("ALTER TABLE test_outbox RENAME TO hidden")));
    auto scope = async::Scope(io_.get_executor());
    scope.spawn("outbox", outbox_->run());
    ::testing::internal::CaptureStderr();
    testing::run(io_, async::sleep_for(std::chrono::milliseconds(1)));
    ASSERT_TRUE(testing::run(io_, database_->query("ALTER TABLE hidden RENAME TO test_outbox")));
    testing::run(io_, wait_for([&] { return to_.arrived.size() == 1; }));
    testing::run(io_, scope.stop());
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("test_outbox"));
}

}  // namespace
}  // namespace codegen::storage
