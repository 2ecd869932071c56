// An HTTP/1.1 server on TCP and unix sockets.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "shared/http/message.hpp"

namespace codegen::http {

// What may follow the head of a request.
struct BodyRule {
    std::size_t limit = 0;              // bytes; beyond it 413
    std::optional<Response> refusal{};  // sent in the handler's place, and the connection is closed
};

struct ServerOptions {
    std::size_t body_limit = 10u << 20;     // bytes; beyond it 413 and the connection is closed
    std::size_t header_limit = 64u << 10;   // bytes; beyond it 431
    std::chrono::seconds idle_timeout{60};  // no complete request within it: the connection is closed
    std::size_t max_connections = 4096;     // more wait in the listen queue
    // Bytes of all bodies that are held at a time, from their first byte until the handler has answered; a
    // Content-Length counts at once. What goes beyond is answered 503 with Retry-After and the connection is closed.
    std::size_t bodies_limit = SIZE_MAX;
    // Asked with the head of a request that has a body, before any of it is taken. Empty: each may have `body_limit`.
    std::function<BodyRule(const Request& head)> body_rule{};
};

// Who sent the request.
struct Peer {
    bool loopback_tcp = false;  // TCP from 127.0.0.0/8 or ::1
    bool unix_socket = false;
};

// Called once a request on the executor's thread; requests of different connections interleave at co_await. A handler
// that throws is answered 500 and logged. A malformed request is answered 400 by the server itself.
using Handler = std::function<Task<Reply>(Request, Peer)>;

class Server {
  public:
    Server(asio::any_io_executor executor, Handler handler, ServerOptions options = {});
    ~Server();  // closes everything at once; prefer stop()

    // Port 0 takes a free one; returns the port.
    Result<std::uint16_t> listen_tcp(const std::string& address, std::uint16_t port);
    // Replaces a stale socket file. The file gets `mode`, and `group` unless it is -1. Long paths are fine.
    Result<void> listen_unix(const std::filesystem::path& path, unsigned mode, int group = -1);
    // Stops accepting, lets requests in flight end for at most `grace`, then cuts. Removes its socket files.
    Task<void> stop(std::chrono::milliseconds grace);

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace codegen::http
