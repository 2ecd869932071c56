// Requests a second of POST and GET task over a unix socket, and of a server that answers a constant: the floor. Server
// and client have a thread each; the client keeps 16 requests under way.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "services/api/service.hpp"
#include "shared/http/client.hpp"
#include "shared/http/server.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::api {
namespace {

constexpr int kAtOnce = 16;
constexpr int kEach = 25;

Task<http::Reply> constant(http::Request, http::Peer) {
    http::Reply reply;
    reply.head.headers.set("Content-Type", "application/json");
    reply.head.body = R"({"id": "b3addeb0-34bb-47fa-8c77-28d483328041"})";
    co_return reply;
}

class Running {
  public:
    explicit Running(bool real) {
        log::setup(log::Level::error, log::Format::console, "bench");
        std::string pattern = (std::filesystem::temp_directory_path() / "codegen-bench-XXXXXX").string();
        directory_ = ::mkdtemp(pattern.data());
        http::Handler handler = constant;
        if (real) {
            database_ = storage::open_sqlite(directory_ / "codegen.db").value();
            Options options;
            options.state_directory = directory_;
            service_ = std::make_unique<Service>(*database_, options);
            asio::io_context once;
            asio::co_spawn(once, service_->bootstrap(), [](std::exception_ptr, Result<void> ready) { ready.value(); });
            once.run();
            token = posix::read_file(directory_ / "service.token", 1000).value();
            handler = service_->handler();
        }
        server_ = std::make_unique<http::Server>(io_.get_executor(), handler);
        server_->listen_unix(directory_ / "api.sock", 0600).value();
        url = "http+unix://" + (directory_ / "api.sock").string();
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Running() {
        work_.reset();
        io_.stop();
        thread_.join();
        server_.reset();
        std::filesystem::remove_all(directory_);
    }
    std::string url;
    std::string token;

  private:
    std::filesystem::path directory_;
    std::unique_ptr<storage::Database> database_;
    std::unique_ptr<Service> service_;
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    std::unique_ptr<http::Server> server_;
    std::thread thread_;
};

Task<void> ask(http::Client* client, http::Request request, int times, unsigned expected) {
    for (int i = 0; i < times; ++i) {
        auto response = co_await client->send(request);
        if (!response || response->status != expected) {
            std::fprintf(stderr, "bench: %s\n", response ? response->body.c_str() : response.error().message.c_str());
            std::abort();
        }
    }
}

void measure(benchmark::State& state, bool real, http::Request request, unsigned expected) {
    Running running(real);
    asio::io_context io;
    http::Client client(io.get_executor(), http::parse_url(running.url).value());
    if (real) request.headers.set("Authorization", "Bearer " + running.token);
    if (request.method == "GET" && real) {  // the task to get
        http::Request make = request;
        make.method = "POST";
        make.body = R"({"id": "b3addeb0-34bb-47fa-8c77-28d483328041", "type": "engineering", "spec": "add a button"})";
        asio::co_spawn(io, ask(&client, make, 1, 201), [](std::exception_ptr) {});
        io.run();
        request.target += "/b3addeb0-34bb-47fa-8c77-28d483328041";
    }
    for (auto _ : state) {
        io.restart();
        for (int i = 0; i < kAtOnce; ++i) {
            asio::co_spawn(io, ask(&client, request, kEach, expected), [](std::exception_ptr) {});
        }
        io.run();
    }
    state.SetItemsProcessed(state.iterations() * kAtOnce * kEach);
}

http::Request task_request(std::string method) {
    http::Request request;
    request.method = std::move(method);
    request.target = "/api/tasks";
    if (request.method == "POST") request.body = R"({"type": "engineering", "spec": "add a button to the page"})";
    return request;
}

void floor_constant(benchmark::State& state) { measure(state, false, task_request("GET"), 200); }
void get_task(benchmark::State& state) { measure(state, true, task_request("GET"), 200); }
void post_task(benchmark::State& state) { measure(state, true, task_request("POST"), 201); }
BENCHMARK(floor_constant)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(get_task)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(post_task)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace codegen::api
