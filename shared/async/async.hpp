// The words every coroutine here uses. One io_context thread runs a whole orchestratord: no locks, but nothing may
// block it.
//
// Cancellation: a cancelled coroutine's pending operation ends with operation_aborted, and every later co_await in it
// throws that error (Asio's default; without it a loop would go on sleeping after its cancellation). The exception
// unwinds the coroutine and stops at with_timeout or Scope; do not swallow it in between. A coroutine that must await
// something after its cancellation says so first: co_await async::uncancellable();
#pragma once
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>

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

// co_await uncancellable(): from here on, the coroutine (up to its Scope or with_timeout) cannot be cancelled, and an
// earlier cancellation is forgotten. For the last words of a cancelled coroutine; keep them short.
inline auto uncancellable() { return asio::this_coro::reset_cancellation_state(asio::disable_cancellation()); }

// Is this the exception that unwinds a cancelled coroutine? For those who catch everything.
bool is_cancellation(const std::exception_ptr& exception);

// Returns after `duration`, or early when the coroutine is cancelled, also when that was before (a coroutine that said
// throw_if_cancelled(false) has to look at its state after it, or it spins).
Task<void> sleep_for(std::chrono::milliseconds duration);

// Runs both at once; returns when both have ended. Cancelling cancels both.
Task<void> both(Task<void> a, Task<void> b);
// Runs both at once; when one has ended, the other is cancelled. Returns when both have ended.
Task<void> first_of(Task<void> a, Task<void> b);

}  // namespace codegen::async
