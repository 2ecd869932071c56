// One connection to Redis, signed in as a worker's ACL user: a byte stream over TCP, TLS or a unix socket.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <chrono>
#include <memory>

#include "shared/redis/client.hpp"

namespace codegen::worker_manager {

class Upstream {
  public:
    using Socket = asio::generic::stream_protocol::socket;

    explicit Upstream(asio::any_io_executor executor) : socket_(std::move(executor)) {}

    // Connects, signs in as `user`, selects the address's database. Error: transient "connection", permanent "auth".
    Task<Result<void>> open(redis::Address address, std::string user, std::string password);
    Task<Result<std::size_t>> read_some(asio::mutable_buffer buffer);  // 0: end of stream
    Task<Result<void>> write(std::string bytes);
    void end_writing();
    void close();

  private:
    Task<Result<void>> connect(const redis::Address& address);
    Task<Result<void>> sign_in(const redis::Address& address, std::string user, std::string password);

    Socket socket_;
    std::unique_ptr<asio::ssl::context> tls_context_;
    std::unique_ptr<asio::ssl::stream<Socket&>> tls_;
};

}  // namespace codegen::worker_manager
