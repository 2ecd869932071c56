// What a process of the control plane says about itself, whatever roles it runs: health, readiness, figures for
// Prometheus, and its log level.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/http/server.hpp"
#include "shared/redis/client.hpp"

namespace codegen::orchestratord {

struct ObserveOptions {
    std::vector<std::string> roles;
    redis::Address redis;
    // What must answer for this process to be of use, beside Redis: a name and its check.
    std::vector<std::pair<std::string, std::function<Task<Result<void>>()>>> checks;
    std::function<std::vector<std::string>()> tokens;  // who may read over TCP from elsewhere, and change the log level
};

// GET /health: 200 as long as the process answers at all. GET /ready: 200 when it is ready and all checks are good,
// else 503, with what is wrong. GET /metrics: Prometheus text; queues are counted when it is asked. GET, PUT
// /log-level:
// {"level": "debug"}. Health and readiness are open; the rest is for the unix socket (the account that runs this) and
// bearers of a token, and reading also for TCP from this machine. Use on one thread.
class Observer {
  public:
    Observer(asio::any_io_executor executor, ObserveOptions options);
    ~Observer();
    Result<void> listen(const std::filesystem::path& socket);
    Result<std::uint16_t> listen_tcp(const std::string& host, std::uint16_t port);
    void set_ready(bool ready);
    http::Handler handler();
    Task<void> stop();

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace codegen::orchestratord
