#include "shared/async/log_context.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/async/scope.hpp"

namespace codegen::async {
namespace {

std::string here() { return log::context() ? log::context()->correlation_id : "nobody"; }

Task<std::string> deeper() {
    co_await sleep_for(std::chrono::milliseconds(1));
    co_return here();
}

// Notes whose turn it is at every step, while others run in between.
Task<void> work(std::string name, asio::any_io_executor plain, std::vector<std::string>* seen) {
    for (int i = 0; i < 5; ++i) {
        co_await sleep_for(std::chrono::milliseconds(1));
        seen->push_back(here());
        asio::steady_timer timer(plain, std::chrono::milliseconds(1));  // of an executor that knows of no context
        co_await timer.async_wait(use_tuple);
        seen->push_back(here());
        auto below = co_await deeper();
        seen->push_back(below);
        auto nested = co_await within(log::make_context({}, name + "-inner"), deeper());
        EXPECT_EQ(nested, name + "-inner");
        seen->push_back(here());
    }
}

TEST(LogContext, stays_with_its_coroutine_while_others_run) {
    asio::io_context io(1);
    std::vector<std::string> a;
    std::vector<std::string> b;
    std::vector<std::string> plain;
    Scope scope(io.get_executor());
    scope.spawn("a", within(log::make_context({}, "a"), work("a", io.get_executor(), &a)));
    scope.spawn("b", within(log::make_context({}, "b"), work("b", io.get_executor(), &b)));
    scope.spawn("plain", work("plain", io.get_executor(), &plain));
    io.run();
    EXPECT_EQ(a, std::vector<std::string>(20, "a"));
    EXPECT_EQ(b, std::vector<std::string>(20, "b"));
    EXPECT_EQ(plain, std::vector<std::string>(20, "nobody"));
    EXPECT_EQ(here(), "nobody");
}

TEST(LogContext, is_cancelled_with_its_caller) {
    asio::io_context io(1);
    bool ended = false;
    Scope scope(io.get_executor());
    scope.spawn("sleeper", [](bool* out) -> Task<void> {
        auto slow = []() -> Task<int> {
            co_await sleep_for(std::chrono::hours(1));
            co_return 1;
        }();
        co_await within(log::make_context({}, "a"), std::move(slow));
        EXPECT_EQ(here(), "nobody");
        *out = true;
    }(&ended));
    io.poll();
    scope.cancel();
    io.run();
    EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace codegen::async
