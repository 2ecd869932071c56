// A coroutine whose log lines say on whose behalf it runs (shared/logging/context.hpp), across all its co_awaits.
#pragma once
#include "shared/async/async.hpp"
#include "shared/logging/context.hpp"

namespace codegen::async {

// `inner`, with `context` around everything that it executes. An executor as Asio wants it.
asio::any_io_executor executor_within(asio::any_io_executor inner, log::ContextPtr context);

// Runs `task` with `context` as log::context(); whatever it awaits too, but not what it spawns in a Scope of somebody
// else's. Cancelling the caller cancels the task. nullptr: without one.
Task<void> within(log::ContextPtr context, Task<void> task);

template <class T>
Task<T> within(log::ContextPtr context, Task<T> task) {
    std::optional<T> result;
    co_await within(std::move(context), [](Task<T> inner, std::optional<T>* out) -> Task<void> {
        auto value = co_await std::move(inner);
        out->emplace(std::move(value));
    }(std::move(task), &result));
    co_return std::move(*result);
}

}  // namespace codegen::async
