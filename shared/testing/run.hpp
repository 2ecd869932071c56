// Runs one coroutine to its end in a test, on an io_context of its own or a given one.
#pragma once
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <optional>

#include "shared/async/async.hpp"

namespace codegen::testing {

// Fails the test (and throws) when `task` has not ended within `limit`. Exceptions pass through.
template <class T>
T run(asio::io_context& io, Task<T> task, std::chrono::seconds limit = std::chrono::seconds(60)) {
    std::optional<std::exception_ptr> done;
    std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
    auto finish = [&](std::exception_ptr e) {
        done = e;
        io.stop();
    };
    io.restart();
    if constexpr (std::is_void_v<T>) {
        asio::co_spawn(io, std::move(task), [&](std::exception_ptr e) {
            value = true;
            finish(e);
        });
    } else {
        asio::co_spawn(io, std::move(task), [&](std::exception_ptr e, T v) {
            if (!e) value.emplace(std::move(v));
            finish(e);
        });
    }
    io.run_for(limit);
    if (!done) {
        ADD_FAILURE() << "the task did not end within " << limit.count() << " s";
        throw std::runtime_error("test task timed out");
    }
    if (*done) std::rethrow_exception(*done);
    if constexpr (!std::is_void_v<T>) return std::move(*value);
}

}  // namespace codegen::testing
