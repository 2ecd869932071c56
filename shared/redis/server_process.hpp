// A private redis-server: our child, on a unix socket only, with a password that only its directory knows.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "shared/redis/client.hpp"

namespace codegen::redis {

// Data (append-only file), socket, configuration, ACL file and password live in `directory` (made 0700). The default
// user is off; one user, `admin`, has a random password that restarts keep. It dies with the thread that started it.
class RedisServer {
  public:
    struct Options {
        std::filesystem::path directory;
        std::string program = "redis-server";  // looked up in PATH
        bool supervise = true;                 // start it again when it dies (100 ms doubling to 5 s)
        std::function<void()> on_restart{};    // after a supervised restart, once it answers; data may be gone
    };

    RedisServer(asio::any_io_executor executor, Options options);
    ~RedisServer();  // kills it
    RedisServer(const RedisServer&) = delete;

    // Returns when it answers PING. Errors name the cause and the log file.
    Task<Result<void>> start();
    Task<void> stop();               // asks it to end (data is synced), kills it after 5 s; no restart follows
    void signal(int number);         // to the process as it runs now (tests: SIGKILL, SIGSTOP, SIGCONT)
    int pid() const;                 // 0: not running
    const Address& address() const;  // valid after start()
    std::string url() const { return to_url(address()); }

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace codegen::redis
