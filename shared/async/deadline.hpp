// A time limit for one coroutine.
#pragma once
#include <optional>
#include <string>

#include "shared/async/async.hpp"

namespace codegen::async {

namespace detail {
// False: `limit` passed and `task` was cancelled. Returns only when `task` has ended.
Task<bool> end_within(Task<void> task, std::chrono::milliseconds limit);

template <class T>
Task<void> keep_result(Task<Result<T>> task, std::optional<Result<T>>* out) {
    auto result = co_await std::move(task);
    out->emplace(std::move(result));
}
}  // namespace detail

// Runs `task` for at most `limit`. Beyond it the task is cancelled (async.hpp, "Cancellation") and, when it has ended,
// the result is a transient error, code "timeout", naming `what` and the limit - unless it succeeded nevertheless.
// When the caller is cancelled, so is the task; the result is then the task's, or a transient error, code "cancelled".
// Other exceptions of the task pass through.
template <class T>
Task<Result<T>> with_timeout(Task<Result<T>> task, std::chrono::milliseconds limit, std::string what) {
    std::optional<Result<T>> result;
    const bool in_time = co_await detail::end_within(detail::keep_result(std::move(task), &result), limit);
    if (result && (in_time || result->has_value())) co_return std::move(*result);
    if (in_time) co_return fail(ErrorCategory::transient, "cancelled", what + ": cancelled");
    co_return fail(ErrorCategory::transient, "timeout",
                   what + ": no answer within " + std::to_string(limit.count()) + " ms");
}

}  // namespace codegen::async
