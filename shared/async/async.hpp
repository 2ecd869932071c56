// The words every coroutine here uses. One io_context thread runs a whole orchestratord: no locks, but nothing may
// block it.
#pragma once
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "shared/base/result.hpp"

namespace codegen {
namespace asio = boost::asio;

// An asynchronous function of this project. It never throws for what its caller can handle: it returns Result.
template <class T>
using Task = asio::awaitable<T>;
}  // namespace codegen

namespace codegen::async {

// co_await socket.async_read_some(buffer, use_tuple) -> [error_code, n] instead of an exception.
inline constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

// Returns after `duration`, or early when the coroutine is cancelled.
Task<void> sleep_for(std::chrono::milliseconds duration);

}  // namespace codegen::async
