#include <fmt/format.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "shared/http/transport.hpp"

namespace codegen::http {
namespace {
using boost::system::error_code;
namespace ssl = asio::ssl;

// shutdown_write() ends the TCP direction without a close_notify.
class TlsTransport final : public Transport {
  public:
    TlsTransport(Socket socket, std::shared_ptr<ssl::context> context)
        : context_(std::move(context)), stream_(std::move(socket), *context_) {}

    Task<Result<void>> handshake(std::string host) {
        const auto what = fmt::format("TLS handshake with {}", host);
        error_code error, is_name;
        asio::ip::make_address(host, is_name);
        if (is_name && SSL_set_tlsext_host_name(stream_.native_handle(), host.c_str()) != 1)
            co_return fail(ErrorCategory::permanent, "protocol", what + ": the host name is not usable");
        stream_.set_verify_mode(ssl::verify_peer, error);
        stream_.set_verify_callback(ssl::host_name_verification(host), error);
        auto [failure] = co_await stream_.async_handshake(ssl::stream_base::client, async::use_tuple);
        if (!failure) co_return Result<void>{};
        const long verdict = SSL_get_verify_result(stream_.native_handle());
        if (verdict != X509_V_OK)
            co_return fail(ErrorCategory::permanent, "protocol",
                           fmt::format("{}: certificate: {}", what, X509_verify_cert_error_string(verdict)));
        if (failure.category() == asio::error::get_ssl_category())
            co_return fail(ErrorCategory::permanent, "protocol", fmt::format("{}: {}", what, failure.message()));
        co_return connection_error(what, failure);
    }

    Task<Result<void>> write(std::string_view bytes) override {
        auto [error, n] = co_await asio::async_write(stream_, asio::buffer(bytes), async::use_tuple);
        if (error) co_return connection_error("write", error);
        co_return Result<void>{};
    }
    Socket& socket() override { return stream_.next_layer(); }
    bool is_stale() override {
        // Readable is normal here: TLS 1.3 sends session tickets after the handshake.
        char byte;
        const auto n = ::recv(socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
    }

  protected:
    Task<Result<std::size_t>> receive(std::span<char> buffer) override {
        auto [error, n] =
            co_await stream_.async_read_some(asio::buffer(buffer.data(), buffer.size()), async::use_tuple);
        if (error == asio::error::eof) co_return std::size_t{0};
        if (error) co_return connection_error("read", error);  // also an end without close_notify: truncation
        co_return n;
    }

  private:
    std::shared_ptr<ssl::context> context_;
    ssl::stream<Socket> stream_;
};

}  // namespace

Task<Result<std::unique_ptr<Transport>>> start_tls(Socket socket, std::string host,
                                                   std::shared_ptr<ssl::context> context) {
    auto transport = std::make_unique<TlsTransport>(std::move(socket), std::move(context));
    auto shaken = co_await transport->handshake(std::move(host));
    if (!shaken) co_return std::unexpected(shaken.error());
    co_return std::move(transport);
}

Task<Result<std::unique_ptr<Transport>>> dial_tls(asio::any_io_executor executor, std::string host, std::uint16_t port,
                                                  std::shared_ptr<ssl::context> context) {
    auto socket = co_await dial_tcp(std::move(executor), host, port);
    if (!socket) co_return std::unexpected(socket.error());
    auto transport = co_await start_tls(std::move(*socket), std::move(host), std::move(context));
    co_return transport;
}

Result<std::shared_ptr<ssl::context>> make_tls_context(const std::optional<std::filesystem::path>& ca_file) {
    auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
    error_code error;
    context->set_options(ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, error);
    if (ca_file)
        context->load_verify_file(ca_file->string(), error);
    else
        context->set_default_verify_paths(error);  // OpenSSL itself reads SSL_CERT_FILE and SSL_CERT_DIR
    if (error)
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("certificates {}: {}", ca_file ? ca_file->string() : "of the system", error.message()));
    return context;
}

}  // namespace codegen::http
