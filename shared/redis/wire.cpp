#include "shared/redis/wire.hpp"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "shared/posix/file.hpp"
#include "shared/redis/sentinel.hpp"

namespace codegen::redis {
namespace {

using boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;

Result<void> connected(const Address& address, std::string_view step, const error_code& error) {
    if (!error) return {};
    return fail(ErrorCategory::transient, "connection",
                fmt::format("Redis at {}: {}{}", describe(address), step, error.message()));
}

Task<Result<void>> connect_tcp(Socket* socket, Address address) {
    asio::ip::tcp::resolver resolver(co_await asio::this_coro::executor);
    auto [error, endpoints] =
        co_await resolver.async_resolve(address.host, std::to_string(address.port), async::use_tuple);
    if (error) co_return connected(address, "", error);
    for (const auto& entry : endpoints) {
        error_code ignored;
        socket->close(ignored);
        auto [failed] = co_await socket->async_connect(entry.endpoint(), async::use_tuple);
        error = failed;
        if (!error) break;
    }
    if (!error) socket->set_option(asio::ip::tcp::no_delay(true), error);
    co_return connected(address, "", error);
}

Task<Result<void>> connect_unix(Socket* socket, Address address) {
    // A path that is too long for a socket address is reached through /proc/self/fd.
    auto path = posix::short_socket_path(address.path);
    if (!path) {
        co_return fail(ErrorCategory::transient, "connection",
                       fmt::format("Redis at {}: {}", address.path, path.error().message));
    }
    const asio::local::stream_protocol::endpoint endpoint(path->path);
    auto [error] = co_await socket->async_connect(endpoint, async::use_tuple);
    co_return connected(address, "", error);
}

class PlainWire : public Wire {
  public:
    explicit PlainWire(const asio::any_io_executor& executor) : socket_(executor) {}

    Task<Result<void>> open(Address address) override {
        return address.transport == Address::Transport::unix_socket ? connect_unix(&socket_, std::move(address))
                                                                    : connect_tcp(&socket_, std::move(address));
    }
    void read_some(asio::mutable_buffer buffer, Handler handler) override {
        socket_.async_read_some(buffer, std::move(handler));
    }
    void write_all(asio::const_buffer buffer, Handler handler) override {
        asio::async_write(socket_, buffer, std::move(handler));
    }
    void close() override {
        error_code ignored;
        socket_.close(ignored);
    }

  private:
    Socket socket_;
};

class TlsWire : public Wire {
  public:
    // The stream takes the context's settings over when it is made.
    TlsWire(const asio::any_io_executor& executor, const Address& address)
        : context_(asio::ssl::context::tls_client),
          prepared_(prepare_tls(context_, address)),
          stream_(executor, context_) {}

    Task<Result<void>> open(Address address) override {
        if (!prepared_) co_return prepared_;
        auto reached = co_await connect_tcp(&stream_.next_layer(), address);
        if (!reached) co_return reached;
        stream_.set_verify_callback(asio::ssl::host_name_verification(address.host));
        error_code no_address;
        asio::ip::make_address(address.host, no_address);
        if (no_address) ::SSL_set_tlsext_host_name(stream_.native_handle(), address.host.c_str());
        auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::client, async::use_tuple);
        co_return connected(address, "TLS: ", error);
    }
    void read_some(asio::mutable_buffer buffer, Handler handler) override {
        stream_.async_read_some(buffer, std::move(handler));
    }
    void write_all(asio::const_buffer buffer, Handler handler) override {
        asio::async_write(stream_, buffer, std::move(handler));
    }
    void close() override {
        error_code ignored;
        stream_.next_layer().close(ignored);
    }

  private:
    asio::ssl::context context_;
    Result<void> prepared_;
    asio::ssl::stream<Socket> stream_;
};

}  // namespace

std::shared_ptr<Wire> make_wire(const asio::any_io_executor& executor, const Address& address) {
    if (address.transport == Address::Transport::tls) return std::make_shared<TlsWire>(executor, address);
    return std::make_shared<PlainWire>(executor);
}

}  // namespace codegen::redis
