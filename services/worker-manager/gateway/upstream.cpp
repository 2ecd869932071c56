#include "services/worker-manager/gateway/upstream.hpp"

#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>

#include "shared/posix/file.hpp"
#include "shared/redis/sentinel.hpp"

namespace codegen::worker_manager {
namespace {

using boost::system::error_code;

std::unexpected<Error> broken(const error_code& ec) {
    return fail(ErrorCategory::transient, "connection", fmt::format("Redis: {}", ec.message()));
}

}  // namespace

Task<Result<void>> Upstream::open(redis::Address address, std::string user, std::string password) {
    auto server = co_await redis::find_server(address);
    if (!server) co_return std::unexpected(server.error());
    auto connected = co_await connect(*server);
    if (!connected) co_return connected;
    auto signed_in = co_await sign_in(address, std::move(user), std::move(password));
    co_return signed_in;
}

Task<Result<void>> Upstream::connect(const redis::Address& address) {
    using Transport = redis::Address::Transport;
    if (address.transport == Transport::unix_socket) {
        auto path = posix::short_socket_path(address.path);
        if (!path) co_return std::unexpected(path.error());
        const asio::generic::stream_protocol::endpoint endpoint(asio::local::stream_protocol::endpoint(path->path));
        auto [ec] = co_await socket_.async_connect(endpoint, async::use_tuple);
        if (ec) co_return broken(ec);
        co_return Result<void>{};
    }
    asio::ip::tcp::resolver resolver(socket_.get_executor());
    auto [resolve_ec, found] =
        co_await resolver.async_resolve(address.host, std::to_string(address.port), async::use_tuple);
    error_code ec = resolve_ec ? resolve_ec : asio::error::host_not_found;
    for (const auto& entry : found) {
        error_code ignored;
        socket_.close(ignored);
        auto [connect_ec] = co_await socket_.async_connect(asio::generic::stream_protocol::endpoint(entry.endpoint()),
                                                           async::use_tuple);
        ec = connect_ec;
        if (!ec) break;
    }
    if (ec) co_return broken(ec);
    socket_.set_option(asio::ip::tcp::no_delay(true), ec);
    if (address.transport != Transport::tls) co_return Result<void>{};

    tls_context_ = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
    if (auto prepared = redis::prepare_tls(*tls_context_, address); !prepared) co_return prepared;
    tls_ = std::make_unique<asio::ssl::stream<Socket&>>(socket_, *tls_context_);
    tls_->set_verify_callback(asio::ssl::host_name_verification(address.host), ec);
    SSL_set_tlsext_host_name(tls_->native_handle(), address.host.c_str());
    auto [tls_ec] = co_await tls_->async_handshake(asio::ssl::stream_base::client, async::use_tuple);
    if (tls_ec) co_return broken(tls_ec);
    co_return Result<void>{};
}

Task<Result<void>> Upstream::sign_in(const redis::Address& address, std::string user, std::string password) {
    std::string hello;
    redis::encode_command(hello, redis::Arguments{"AUTH", std::move(user), std::move(password)});
    int expected = 1;
    if (address.database != 0) {
        redis::encode_command(hello, redis::Arguments{"SELECT", std::to_string(address.database)});
        ++expected;
    }
    auto sent = co_await write(std::move(hello));
    if (!sent) co_return sent;
    redis::ReplyReader reader;
    std::array<char, 512> buffer;
    while (expected > 0) {
        auto n = co_await read_some(asio::buffer(buffer));
        if (!n) co_return std::unexpected(n.error());
        if (*n == 0) co_return fail(ErrorCategory::transient, "connection", "Redis closed the connection at sign-in");
        reader.feed(std::string_view(buffer.data(), *n));
        for (; expected > 0; --expected) {
            auto reply = reader.next();
            if (!reply) co_return std::unexpected(reply.error());
            if (!*reply) break;
            if ((*reply)->is_error()) co_return fail(ErrorCategory::permanent, "auth", "Redis: " + (*reply)->text);
        }
    }
    co_return Result<void>{};
}

Task<Result<std::size_t>> Upstream::read_some(asio::mutable_buffer buffer) {
    error_code ec;
    std::size_t n = 0;
    if (tls_)
        std::tie(ec, n) = co_await tls_->async_read_some(buffer, async::use_tuple);
    else
        std::tie(ec, n) = co_await socket_.async_read_some(buffer, async::use_tuple);
    if (ec == asio::error::eof || ec == asio::ssl::error::stream_truncated) co_return std::size_t{0};
    if (ec) co_return broken(ec);
    co_return n;
}

Task<Result<void>> Upstream::write(std::string bytes) {
    error_code ec;
    std::size_t n = 0;
    if (tls_)
        std::tie(ec, n) = co_await asio::async_write(*tls_, asio::buffer(bytes), async::use_tuple);
    else
        std::tie(ec, n) = co_await asio::async_write(socket_, asio::buffer(bytes), async::use_tuple);
    if (ec) co_return broken(ec);
    co_return Result<void>{};
}

void Upstream::end_writing() {
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
}

void Upstream::close() {
    error_code ignored;
    socket_.close(ignored);
}

}  // namespace codegen::worker_manager
