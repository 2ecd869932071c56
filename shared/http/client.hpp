// An HTTP/1.1 client over TCP, TLS and unix sockets, with kept-alive connections.
#pragma once
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "shared/http/message.hpp"
#include "shared/http/proxy.hpp"
#include "shared/http/url.hpp"

namespace codegen::http {

struct ClientOptions {
    std::chrono::milliseconds connect_timeout{5000};
    std::size_t body_limit = 64u << 20;                 // bytes of a buffered response
    std::optional<std::filesystem::path> ca_file = {};  // else SSL_CERT_FILE, else the system's store
    std::optional<Proxy> proxy = {};                    // proxy_for(); upgrade() and unix sockets do without
};

// A response whose body is read as it arrives.
class ResponseStream {
  public:
    virtual ~ResponseStream() = default;       // an unfinished body closes its connection
    virtual const Response& head() const = 0;  // body empty
    // The next piece of the decoded body as soon as it is there; empty at the end.
    virtual Task<Result<std::string>> read_some() = 0;
};

// Use on one thread. Requests may overlap; each takes a connection of its own. A request on a kept connection that
// turns out closed before a byte of the answer is sent again once on a fresh one. The target is appended to the URL's
// base path. Errors: transient "connection" (refused, reset, name not found) and "timeout"; permanent "protocol",
// "too_large", "proxy" (it refuses the tunnel). HTTP statuses are not errors. Cancelling the coroutine closes its
// connection.
class Client {
  public:
    Client(asio::any_io_executor executor, Url base, ClientOptions options = {});
    ~Client();

    Task<Result<Response>> send(Request request, std::chrono::milliseconds timeout = std::chrono::seconds(10));
    // `timeout` covers connecting, sending and the response's head; then each read_some has `idle` (0: unlimited).
    Task<Result<std::unique_ptr<ResponseStream>>> open(Request request, std::chrono::milliseconds timeout,
                                                       std::chrono::milliseconds idle = std::chrono::milliseconds(0));
    // Sends an `Upgrade: tcp` request (Docker attach/exec, or CONNECT) and hands over the connection after 101 or 200.
    Task<Result<std::unique_ptr<Stream>>> upgrade(Request request, std::chrono::milliseconds timeout);

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

// A raw connection, for tunnels.
Task<Result<std::unique_ptr<Stream>>> connect_tcp(std::string address, std::uint16_t port,
                                                  std::chrono::milliseconds timeout);
Task<Result<std::unique_ptr<Stream>>> connect_unix(std::filesystem::path path, std::chrono::milliseconds timeout);
// Copies both ways until both directions have ended. Returns bytes {a to b, b to a}.
Task<std::pair<std::uint64_t, std::uint64_t>> relay(Stream& a, Stream& b);

}  // namespace codegen::http
