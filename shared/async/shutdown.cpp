#include "shared/async/shutdown.hpp"

namespace codegen::async {

Shutdown::Shutdown(asio::any_io_executor executor) : begun_(executor, asio::steady_timer::time_point::max()) {}

void Shutdown::begin() {
    has_begun_ = true;
    begun_.cancel();
}

void Shutdown::fail(Error error) {
    if (!failure_) failure_ = std::move(error);
    begin();
}

Task<void> Shutdown::watch(Task<Result<void>> part) {
    co_await asio::this_coro::throw_if_cancelled(false);
    auto done = co_await std::move(part);
    if (!done) fail(std::move(done.error()));
}

Task<void> Shutdown::wait() {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto state = co_await asio::this_coro::cancellation_state;
    const bool cancelled = state.cancelled() != asio::cancellation_type::none;
    if (!has_begun_ && !cancelled) co_await begun_.async_wait(use_tuple);
    co_await uncancellable();
}

Result<void> Shutdown::outcome(std::string_view who) const {
    if (failure_) return std::unexpected(in_context(*failure_, who));
    return {};
}

}  // namespace codegen::async
