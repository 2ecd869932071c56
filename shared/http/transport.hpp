// Sockets as Streams. Internal to shared/http.
#pragma once
#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <filesystem>

#include "shared/http/message.hpp"

namespace codegen::http {

using Socket = asio::generic::stream_protocol::socket;  // TCP or unix

// A connection with the bytes that were read from it and not yet used.
class Transport : public Stream {
  public:
    Task<Result<std::size_t>> read_some(std::span<char> buffer) override;
    std::string_view pending() const { return std::string_view(pending_).substr(consumed_); }
    void consume(std::size_t n);
    // Reads once behind pending(); 0: end of stream, and again 0 whenever it is asked after that.
    Task<Result<std::size_t>> fill();
    virtual Socket& socket() = 0;
    // Would a request on this kept connection fail? Does not block.
    virtual bool is_stale() = 0;
    void shutdown_write() override;
    void close() override;
    // Ends both directions without taking the descriptor from the operations under way: they end by themselves.
    void shutdown_both();

  protected:
    virtual Task<Result<std::size_t>> receive(std::span<char> buffer) = 0;

  private:
    std::string pending_;
    std::size_t consumed_ = 0;
    std::size_t next_read_ = 4096;
};

class SocketTransport final : public Transport {
  public:
    explicit SocketTransport(Socket socket) : socket_(std::move(socket)) {}
    Task<Result<void>> write(std::string_view bytes) override;
    Task<Result<void>> write_all(std::array<asio::const_buffer, 3> parts);  // they must live until it returns
    Socket& socket() override { return socket_; }
    bool is_stale() override;

  protected:
    Task<Result<std::size_t>> receive(std::span<char> buffer) override;

  private:
    Socket socket_;
    bool ended_ = false;  // Asio's reactor, once it has seen the end, waits for ever in a further read
};

// Errors: transient "connection", naming the address.
Task<Result<std::unique_ptr<Transport>>> dial_unix(asio::any_io_executor executor, std::filesystem::path path);
Task<Result<Socket>> dial_tcp(asio::any_io_executor executor, std::string host, std::uint16_t port);
// Shakes hands on a connection and verifies that the certificate is `host`'s.
Task<Result<std::unique_ptr<Transport>>> start_tls(Socket socket, std::string host,
                                                   std::shared_ptr<asio::ssl::context> context);
// Connects, and the same.
Task<Result<std::unique_ptr<Transport>>> dial_tls(asio::any_io_executor executor, std::string host, std::uint16_t port,
                                                  std::shared_ptr<asio::ssl::context> context);
Result<std::shared_ptr<asio::ssl::context>> make_tls_context(const std::optional<std::filesystem::path>& ca_file);

std::unexpected<Error> connection_error(std::string_view what, const boost::system::error_code& error);

}  // namespace codegen::http
