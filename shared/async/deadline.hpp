// A time limit for one coroutine.
#pragma once
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <string>

#include "shared/async/async.hpp"

namespace codegen::async {

// Runs `task` for at most `limit`. Beyond it the task is cancelled (its pending operation ends with operation_aborted)
// and the result is a transient error, code "timeout", naming `what` and the limit.
template <class T>
Task<Result<T>> with_timeout(Task<Result<T>> task, std::chrono::milliseconds limit, std::string what) {
    using namespace asio::experimental::awaitable_operators;
    auto outcome = co_await (std::move(task) || sleep_for(limit));
    if (outcome.index() == 0) co_return std::move(std::get<0>(outcome));
    co_return fail(ErrorCategory::transient, "timeout",
                   what + ": no answer within " + std::to_string(limit.count()) + " ms");
}

}  // namespace codegen::async
