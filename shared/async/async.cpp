#include "shared/async/async.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>

#include "shared/async/deadline.hpp"

namespace codegen::async {
namespace ex = asio::experimental;

bool is_cancellation(const std::exception_ptr& exception) {
    try {
        if (exception) std::rethrow_exception(exception);
    } catch (const boost::system::system_error& e) {
        return e.code() == asio::error::operation_aborted;
    } catch (...) {
    }
    return false;
}

Task<void> sleep_for(std::chrono::milliseconds duration) {
    const auto state = co_await asio::this_coro::cancellation_state;
    // Cancelled before, in a coroutine that does not unwind for it: nothing would end this sleep early.
    if (state.cancelled() != asio::cancellation_type::none) duration = {};
    asio::steady_timer timer(co_await asio::this_coro::executor, duration);
    co_await timer.async_wait(use_tuple);
}

namespace {

// Rethrows what is a bug; that a cancelled coroutine was unwound is not.
void rethrow_unless_cancellation(const std::exception_ptr& exception) {
    if (exception && !is_cancellation(exception)) std::rethrow_exception(exception);
}

}  // namespace

namespace {

template <class Condition>
Task<void> run_pair(Task<void> a, Task<void> b, Condition condition) {
    auto executor = co_await asio::this_coro::executor;
    auto [order, exception_a, exception_b] =
        co_await ex::make_parallel_group(asio::co_spawn(executor, std::move(a), asio::deferred),
                                         asio::co_spawn(executor, std::move(b), asio::deferred))
            .async_wait(condition, asio::use_awaitable);
    rethrow_unless_cancellation(exception_a);
    rethrow_unless_cancellation(exception_b);
}

}  // namespace

Task<void> both(Task<void> a, Task<void> b) { return run_pair(std::move(a), std::move(b), ex::wait_for_all()); }
Task<void> first_of(Task<void> a, Task<void> b) { return run_pair(std::move(a), std::move(b), ex::wait_for_one()); }

namespace detail {

Task<bool> end_within(Task<void> task, std::chrono::milliseconds limit) {
    auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, limit);
    auto [order, exception, error] =
        co_await ex::make_parallel_group(asio::co_spawn(executor, std::move(task), asio::deferred),
                                         timer.async_wait(asio::deferred))
            .async_wait(ex::wait_for_one(), asio::use_awaitable);
    rethrow_unless_cancellation(exception);
    co_return order[0] == 0 || error == asio::error::operation_aborted;
}

}  // namespace detail
}  // namespace codegen::async
