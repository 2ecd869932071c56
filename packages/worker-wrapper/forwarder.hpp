// 127.0.0.1:<port> -> the gateway's http.sock, byte for byte, for programs that need a base URL or HTTPS_PROXY. While
// the gateway is away (the manager restarts) new connections are held.
#pragma once
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>

#include "packages/worker-wrapper/loop.hpp"
#include "shared/base/result.hpp"

namespace codegen::wrapper {

class Forwarder {
  public:
    // A connection that found no gateway for `patience` is closed.
    Forwarder(Loop& loop, std::filesystem::path socket, std::chrono::milliseconds patience);
    ~Forwarder();
    Result<int> listen(int port);  // the port it listens on (port 0: any)

  private:
    struct Connection;
    void accept();
    void try_connect(Connection& connection);
    void pump(Connection& connection, int ready, bool hung_up);
    void update(Connection& connection);
    void close(Connection& connection);

    Loop& loop_;
    const std::filesystem::path socket_;
    const std::chrono::milliseconds patience_;
    posix::Fd listener_;
    std::map<const Connection*, std::unique_ptr<Connection>> connections_;
};

}  // namespace codegen::wrapper
