#include "shared/testing/temp_redis.hpp"

#include <signal.h>

#include "shared/process/process.hpp"
#include "shared/testing/run.hpp"

namespace codegen::testing {
namespace {

void start(asio::io_context& io, redis::RedisServer& server) {
    auto started = run(io, server.start());
    if (started) return;
    ADD_FAILURE() << started.error().message;
    throw std::runtime_error(started.error().message);
}

}  // namespace

TempRedis::TempRedis(asio::io_context& io, bool supervised)
    : io_(io),
      server_(io.get_executor(),
              {.directory = directory_ / "redis", .program = "redis-server", .supervise = supervised}) {
    start(io_, server_);
}

TempRedis::~TempRedis() = default;

void TempRedis::kill() {
    const int pid = server_.pid();
    if (pid == 0) return;
    server_.signal(SIGKILL);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (server_.pid() == pid && std::chrono::steady_clock::now() < until) {
        io_.restart();
        io_.run_for(std::chrono::milliseconds(1));
    }
}

void TempRedis::restart() {
    kill();
    start(io_, server_);
}

void TempRedis::wipe() {
    kill();
    std::filesystem::remove_all(directory_ / "redis");
    start(io_, server_);
}

void TempRedis::pause() { server_.signal(SIGSTOP); }

void TempRedis::resume() { server_.signal(SIGCONT); }

redis::Reply TempRedis::command(redis::Arguments arguments) {
    redis::Client client(io_.get_executor(), address());
    auto reply = run(io_, client.command(std::move(arguments)));
    if (reply) return std::move(*reply);
    ADD_FAILURE() << reply.error().message;
    return {};
}

}  // namespace codegen::testing
