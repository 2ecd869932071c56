#include "shared/http/transport.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>

#include "shared/async/async.hpp"
#include "shared/posix/file.hpp"

namespace codegen::http {
namespace {
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr std::size_t kLargestRead = 64u << 10;

// Name resolution cannot be cancelled in Asio 1.81 (a thread sits in getaddrinfo): the waiting coroutine leaves, the
// answer finds only this.
struct Lookup {
    explicit Lookup(const asio::any_io_executor& e) : resolver(e), answered(e, asio::steady_timer::time_point::max()) {}
    tcp::resolver resolver;
    asio::steady_timer answered;
    bool done = false;
    error_code error;
    std::vector<tcp::endpoint> endpoints;
};

Task<Result<std::vector<tcp::endpoint>>> resolve(asio::any_io_executor executor, std::string host, std::uint16_t port) {
    error_code not_literal;
    const auto literal = asio::ip::make_address(host, not_literal);
    if (!not_literal) co_return std::vector{tcp::endpoint(literal, port)};
    auto lookup = std::make_shared<Lookup>(executor);
    lookup->resolver.async_resolve(host, std::to_string(port), tcp::resolver::numeric_service,
                                   [lookup](error_code error, const tcp::resolver::results_type& results) {
                                       lookup->done = true;
                                       lookup->error = error;
                                       for (const auto& entry : results) lookup->endpoints.push_back(entry.endpoint());
                                       lookup->answered.cancel();
                                   });
    co_await lookup->answered.async_wait(async::use_tuple);
    if (!lookup->done) co_return connection_error(fmt::format("look up {}", host), asio::error::operation_aborted);
    if (lookup->error) co_return connection_error(fmt::format("look up {}", host), lookup->error);
    co_return std::move(lookup->endpoints);
}

}  // namespace

std::unexpected<Error> connection_error(std::string_view what, const error_code& error) {
    return fail(ErrorCategory::transient, "connection", fmt::format("{}: {}", what, error.message()));
}

void Transport::consume(std::size_t n) {
    consumed_ += n;
    if (consumed_ == pending_.size()) {
        pending_.clear();
        consumed_ = 0;
    }
}

Task<Result<std::size_t>> Transport::read_some(std::span<char> buffer) {
    const auto ready = pending().substr(0, buffer.size());
    if (ready.empty()) return receive(buffer);
    std::ranges::copy(ready, buffer.begin());
    const auto n = ready.size();
    consume(n);
    return [](std::size_t count) -> Task<Result<std::size_t>> { co_return count; }(n);
}

Task<Result<std::size_t>> Transport::fill() {
    pending_.erase(0, consumed_);
    consumed_ = 0;
    const auto before = pending_.size();
    const auto room = next_read_;
    pending_.resize(before + room);
    auto received = co_await receive(std::span(pending_).subspan(before));
    pending_.resize(before + received.value_or(0));
    if (received)
        next_read_ = *received == room ? std::min(room * 2, kLargestRead) : std::max<std::size_t>(room / 2, 4096);
    if (pending_.empty() && pending_.capacity() > kLargestRead) pending_.shrink_to_fit();
    co_return received;
}

void Transport::shutdown_write() {
    error_code ignored;
    socket().shutdown(Socket::shutdown_send, ignored);
}

void Transport::shutdown_both() {
    error_code ignored;
    socket().shutdown(Socket::shutdown_both, ignored);
}

void Transport::close() {
    error_code ignored;
    socket().close(ignored);
}

Task<Result<std::size_t>> SocketTransport::receive(std::span<char> buffer) {
    if (ended_) co_return std::size_t{0};
    auto [error, n] = co_await socket_.async_read_some(asio::buffer(buffer.data(), buffer.size()), async::use_tuple);
    ended_ = error && error != asio::error::operation_aborted;
    if (error == asio::error::eof) co_return std::size_t{0};
    if (error) co_return connection_error("read", error);
    co_return n;
}

Task<Result<void>> SocketTransport::write(std::string_view bytes) {
    auto [error, n] = co_await asio::async_write(socket_, asio::buffer(bytes), async::use_tuple);
    if (error) co_return connection_error("write", error);
    co_return Result<void>{};
}

Task<Result<void>> SocketTransport::write_all(std::array<asio::const_buffer, 3> parts) {
    auto [error, n] = co_await asio::async_write(socket_, parts, async::use_tuple);
    if (error) co_return connection_error("write", error);
    co_return Result<void>{};
}

bool SocketTransport::is_stale() {
    char byte;
    const auto n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);  // unasked data is as bad as the end
}

Task<Result<std::unique_ptr<Transport>>> dial_unix(asio::any_io_executor executor, std::filesystem::path path) {
    const auto what = fmt::format("connect to {}", path.string());
    for (;;) {
        auto address = posix::short_socket_path(path);
        if (!address) co_return connection_error(what, error_code(ENOENT, boost::system::system_category()));
        Socket socket(executor);
        const asio::generic::stream_protocol::endpoint endpoint(asio::local::stream_protocol::endpoint(address->path));
        auto [error] = co_await socket.async_connect(endpoint, async::use_tuple);
        if (error) co_return connection_error(what, error);
        error_code not_connected;
        socket.remote_endpoint(not_connected);
        // Full listen queue: connect says EAGAIN, which Asio takes for "in progress" (unix sockets know no such state).
        if (!not_connected) co_return std::make_unique<SocketTransport>(std::move(socket));
        co_await async::sleep_for(std::chrono::milliseconds(5));
    }
}

Task<Result<Socket>> dial_tcp(asio::any_io_executor executor, std::string host, std::uint16_t port) {
    auto endpoints = co_await resolve(executor, host, port);
    if (!endpoints) co_return std::unexpected(endpoints.error());
    error_code last = asio::error::host_not_found;
    for (const auto& endpoint : *endpoints) {
        Socket socket(executor);
        const asio::generic::stream_protocol::endpoint generic(endpoint);
        auto [error] = co_await socket.async_connect(generic, async::use_tuple);
        if (!error) {
            error_code ignored;
            socket.set_option(tcp::no_delay(true), ignored);
            socket.set_option(asio::socket_base::keep_alive(true), ignored);
            co_return std::move(socket);
        }
        last = error;
    }
    co_return connection_error(fmt::format("connect to {} port {}", host, port), last);
}

}  // namespace codegen::http
