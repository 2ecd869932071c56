// A real redis-server of one test: on a unix socket in a directory of its own, gone with the object.
#pragma once
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "shared/redis/server_process.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::testing {

// Without `supervised` a killed server stays down until restart(). The functions run `io` until they are done; a
// redis-server that does not start fails the test with the reason (and throws).
class TempRedis {
  public:
    explicit TempRedis(asio::io_context& io, bool supervised = false);
    ~TempRedis();

    const redis::Address& address() const { return server_.address(); }
    std::string url() const { return server_.url(); }
    int pid() const { return server_.pid(); }
    redis::RedisServer& server() { return server_; }
    const std::filesystem::path& directory() const { return directory_.path(); }

    void kill();     // SIGKILL, and waits until it is gone
    void restart();  // kill() if it runs, and starts it with the data it has on disk
    void wipe();     // kill(), deletes all data, starts it: comes back empty
    void pause();    // SIGSTOP: connections stay open and silent
    void resume();
    // One command on a connection of its own; an error fails the test.
    redis::Reply command(redis::Arguments arguments);

  private:
    asio::io_context& io_;
    TempDirectory directory_;
    redis::RedisServer server_;
};

}  // namespace codegen::testing
