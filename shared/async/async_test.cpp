#include "shared/async/async.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/async/deadline.hpp"
#include "shared/async/scope.hpp"
#include "shared/testing/run.hpp"

namespace codegen::async {
namespace {
using namespace std::chrono_literals;
using codegen::testing::run;

// Writes when it is destroyed: proves that a frame was unwound.
struct Mark {
    int* count;
    explicit Mark(int* c) : count(c) {}
    Mark(const Mark&) = delete;
    ~Mark() { ++*count; }
};

Task<Result<int>> answer_after(std::chrono::milliseconds delay, int value, int* unwound) {
    Mark mark(unwound);
    co_await sleep_for(delay);
    co_await asio::post(co_await asio::this_coro::executor, use_tuple);  // throws when cancelled
    co_return value;
}

Task<Result<int>> fail_after(std::chrono::milliseconds delay) {
    asio::steady_timer timer(co_await asio::this_coro::executor, delay);
    auto [error] = co_await timer.async_wait(use_tuple);
    co_return fail(ErrorCategory::permanent, error ? "aborted" : "own", error.message());
}

Task<Result<int>> throw_bug() {
    co_await sleep_for(1ms);
    throw std::logic_error("bug");
}

Task<Result<int>> ignore_cancellation() {
    co_await uncancellable();
    co_await sleep_for(30ms);
    co_return 5;
}

TEST(WithTimeout, GivesTheResultInTime) {
    asio::io_context io;
    int unwound = 0;
    const auto result = run(io, with_timeout(answer_after(1ms, 7, &unwound), 10s, "answer"));
    ASSERT_TRUE(result);
    EXPECT_EQ(*result, 7);
    EXPECT_EQ(unwound, 1);
}

TEST(WithTimeout, NamesWhatTimedOutAndUnwindsTheTask) {
    asio::io_context io;
    int unwound = 0;
    const auto result = run(io, with_timeout(answer_after(1h, 7, &unwound), 5ms, "read the answer"));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, "timeout");
    EXPECT_EQ(result.error().category, ErrorCategory::transient);
    EXPECT_EQ(result.error().message, "read the answer: no answer within 5 ms");
    EXPECT_EQ(unwound, 1);
}

TEST(WithTimeout, KeepsTheTasksOwnErrorButNotTheAbortedOne) {
    asio::io_context io;
    EXPECT_EQ(run(io, with_timeout(fail_after(1ms), 10s, "x")).error().code, "own");
    EXPECT_EQ(run(io, with_timeout(fail_after(1h), 5ms, "x")).error().code, "timeout");
}

TEST(WithTimeout, KeepsASuccessThatCameDespiteTheCancellation) {
    asio::io_context io;
    EXPECT_EQ(run(io, with_timeout(ignore_cancellation(), 1ms, "x")).value(), 5);
}

TEST(WithTimeout, PassesOtherExceptionsOn) {
    asio::io_context io;
    EXPECT_THROW(run(io, with_timeout(throw_bug(), 10s, "x")), std::logic_error);
}

TEST(WithTimeout, NestsTheInnerLimitFirst) {
    asio::io_context io;
    int unwound = 0;
    auto inner = with_timeout(answer_after(1h, 1, &unwound), 5ms, "inner");
    EXPECT_EQ(run(io, with_timeout(std::move(inner), 10s, "outer")).error().message, "inner: no answer within 5 ms");
    auto slow_inner = with_timeout(answer_after(1h, 1, &unwound), 10s, "inner");
    EXPECT_EQ(run(io, with_timeout(std::move(slow_inner), 5ms, "outer")).error().message,
              "outer: no answer within 5 ms");
    EXPECT_EQ(unwound, 2);
}

Task<void> record_timeout(std::string* out, int* unwound, bool* later) {
    auto result = co_await with_timeout(answer_after(1h, 1, unwound), 10s, "x");
    *out = result ? "success" : result.error().code;
    co_await sleep_for(1ms);  // throws: the coroutine was cancelled
    *later = true;
}

TEST(WithTimeout, IsCancelledWithItsCaller) {
    asio::io_context io;
    Scope scope(io.get_executor());
    std::string code;
    int unwound = 0;
    bool later = false;
    scope.spawn("caller", record_timeout(&code, &unwound, &later));
    run(io, sleep_for(5ms));
    run(io, scope.stop());
    EXPECT_EQ(code, "cancelled");
    EXPECT_EQ(unwound, 1);
    EXPECT_FALSE(later);
}

Task<void> loop_forever(int* rounds, int* unwound) {
    Mark mark(unwound);
    for (;;) {
        co_await sleep_for(1ms);
        ++*rounds;
    }
}

TEST(Scope, StopEndsALoopThatLooksAtNothing) {
    asio::io_context io;
    Scope scope(io.get_executor());
    int rounds = 0, unwound = 0;
    for (int i = 0; i < 3; ++i) scope.spawn("loop", loop_forever(&rounds, &unwound));
    EXPECT_EQ(scope.size(), 3u);
    EXPECT_EQ(rounds, 0) << "a task ran inside spawn()";
    while (rounds < 3) io.run_one();
    run(io, scope.stop());
    EXPECT_EQ(scope.size(), 0u);
    EXPECT_EQ(unwound, 3);
}

TEST(Scope, StopCancelsATaskThatHasNotStarted) {
    asio::io_context io;
    Scope scope(io.get_executor());
    int rounds = 0, unwound = 0;
    scope.spawn("loop", loop_forever(&rounds, &unwound));
    run(io, scope.stop());
    EXPECT_EQ(rounds, 0);
    scope.spawn("too late", loop_forever(&rounds, &unwound));
    EXPECT_EQ(scope.size(), 0u);
    EXPECT_EQ(rounds, 0);
}

Task<void> add_later(std::chrono::milliseconds delay, int* sum) {
    co_await sleep_for(delay);
    ++*sum;
}

TEST(Scope, DrainWaitsForTheEnd) {
    asio::io_context io;
    Scope scope(io.get_executor());
    int sum = 0;
    for (int i = 0; i < 10; ++i) scope.spawn("add", add_later(std::chrono::milliseconds(i), &sum));
    run(io, scope.drain());
    EXPECT_EQ(sum, 10);
}

Task<void> spawn_more(Scope* scope, int depth, int* sum) {
    co_await sleep_for(1ms);
    ++*sum;
    if (depth > 0) scope->spawn("child", spawn_more(scope, depth - 1, sum));
}

TEST(Scope, TasksMaySpawnTasks) {
    asio::io_context io;
    Scope scope(io.get_executor());
    int sum = 0;
    scope.spawn("parent", spawn_more(&scope, 9, &sum));
    run(io, scope.drain());
    EXPECT_EQ(sum, 10);
}

TEST(Scope, MayBeDestroyedWhileTasksRun) {
    asio::io_context io;
    int rounds = 0, unwound = 0;
    {
        Scope scope(io.get_executor());
        for (int i = 0; i < 5; ++i) scope.spawn("loop", loop_forever(&rounds, &unwound));
        while (rounds < 5) io.run_one();
    }
    io.restart();
    io.run();  // returns: nothing is left
    EXPECT_EQ(unwound, 5);
}

Task<void> destroy_owner(std::unique_ptr<Scope>* owner, int* unwound) {
    Mark mark(unwound);
    co_await sleep_for(1ms);
    owner->reset();
    co_await sleep_for(1h);
}

TEST(Scope, MayBeDestroyedByItsOwnTask) {
    asio::io_context io;
    auto scope = std::make_unique<Scope>(io.get_executor());
    int unwound = 0, rounds = 0;
    scope->spawn("destroyer", destroy_owner(&scope, &unwound));
    scope->spawn("loop", loop_forever(&rounds, &unwound));
    io.run();
    EXPECT_EQ(unwound, 2);
}

TEST(Scope, TheContextMayGoFirstWithTheTasks) {
    int rounds = 0, unwound = 0;
    auto io = std::make_unique<asio::io_context>();
    {
        Scope scope(io->get_executor());
        scope.spawn("loop", loop_forever(&rounds, &unwound));
        while (rounds == 0) io->run_one();
    }
    io.reset();  // destroys the suspended frame
    EXPECT_EQ(unwound, 1);
}

Task<void> throw_in_task() {
    co_await sleep_for(1ms);
    throw std::runtime_error("bug in task");
}

TEST(ScopeDeathTest, AnExceptionThatLeavesATaskIsFatalAndNamed) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            asio::io_context io;
            Scope scope(io.get_executor());
            scope.spawn("the-task", throw_in_task());
            io.run();
        },
        "the-task.*bug in task");
}

Task<void> clean_up(bool* cleaned) {
    try {
        co_await sleep_for(1h);
        co_await sleep_for(1h);
    } catch (...) {
        if (!is_cancellation(std::current_exception())) throw;
    }
    co_await uncancellable();
    co_await sleep_for(2ms);
    *cleaned = true;
}

TEST(Cancellation, UncancellableAllowsLastWords) {
    asio::io_context io;
    Scope scope(io.get_executor());
    bool cleaned = false;
    scope.spawn("cleaner", clean_up(&cleaned));
    run(io, sleep_for(2ms));
    run(io, scope.stop());
    EXPECT_TRUE(cleaned);
}

// Cancelled while it cannot notice, as between the answer of a database and its next step.
Task<void> sleep_after_cancellation(Scope* scope, bool* ended) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await asio::post(co_await asio::this_coro::executor, use_tuple);
    scope->cancel();
    co_await sleep_for(1h);
    *ended = true;
}

TEST(Cancellation, EndsALaterSleepOfATaskThatDoesNotUnwind) {
    asio::io_context io;
    Scope scope(io.get_executor());
    bool ended = false;
    scope.spawn("sleeper", sleep_after_cancellation(&scope, &ended));
    run(io, scope.drain());
    EXPECT_TRUE(ended);
}

TEST(Cancellation, IsToldFromOtherExceptions) {
    EXPECT_FALSE(is_cancellation(nullptr));
    EXPECT_FALSE(is_cancellation(std::make_exception_ptr(std::runtime_error("x"))));
    EXPECT_FALSE(is_cancellation(std::make_exception_ptr(1)));
    EXPECT_TRUE(is_cancellation(std::make_exception_ptr(boost::system::system_error(asio::error::operation_aborted))));
}

Task<void> run_both(int* sum, int* unwound, bool* ended) {
    co_await both(add_later(1ms, sum), loop_forever(sum, unwound));
    *ended = true;
}

TEST(Both, IsCancelledAsOne) {
    asio::io_context io;
    Scope scope(io.get_executor());
    int sum = 0, unwound = 0;
    bool ended = false;
    scope.spawn("both", run_both(&sum, &unwound, &ended));
    run(io, sleep_for(10ms));
    run(io, scope.stop());
    EXPECT_EQ(unwound, 1);
    EXPECT_TRUE(ended);
    run(io, both(add_later(1ms, &sum), add_later(2ms, &sum)));
    EXPECT_THROW(run(io, both(throw_in_task(), add_later(1ms, &sum))), std::runtime_error);
}

TEST(FirstOf, CancelsTheOther) {
    asio::io_context io;
    int sum = 0, unwound = 0;
    run(io, first_of(add_later(5ms, &sum), loop_forever(&sum, &unwound)));
    EXPECT_EQ(unwound, 1);
    run(io, first_of(loop_forever(&sum, &unwound), add_later(5ms, &sum)));
    EXPECT_EQ(unwound, 2);
    EXPECT_THROW(run(io, first_of(throw_in_task(), loop_forever(&sum, &unwound))), std::runtime_error);
    EXPECT_EQ(unwound, 3);
}

}  // namespace
}  // namespace codegen::async
