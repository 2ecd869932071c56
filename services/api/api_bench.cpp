// GET and POST of a task over a unix socket, on SQLite and PostgreSQL, with 1 and 64 connections that each have one
// request under way: requests a second, p50 and p99 in microseconds. Beside each the floor: a server of ours that does
// the same statement and nothing else (no token, no validation), and one that answers a constant. The PostgreSQL is
// that of the tests (fsync off); SQLite syncs every commit. Server and clients have a thread each.
#include <benchmark/benchmark.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

#include "services/api/service.hpp"
#include "shared/base/ids.hpp"
#include "shared/http/client.hpp"
#include "shared/http/server.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/test_store.hpp"

namespace codegen::api {
namespace {

enum class Kind { constant, statement, api };

constexpr std::string_view kTask = "b3addeb0-34bb-47fa-8c77-28d483328041";

http::Reply json_reply(unsigned status, std::string body) {
    http::Reply reply;
    reply.head.status = status;
    reply.head.headers.set("Content-Type", "application/json");
    reply.head.body = std::move(body);
    return reply;
}

std::string text_of(const storage::Row& row) {
    return boost::json::serialize(boost::json::object{{"id", row.text("id")},
                                                      {"type", row.text("type")},
                                                      {"status", row.text("status")},
                                                      {"spec", row.text("spec")},
                                                      {"created_at", row.integer("created_at")}});
}

Task<http::Reply> only_the_statement(storage::Database* database, http::Request request) {
    const bool reads = request.method == "GET";
    std::string sql = "SELECT * FROM tasks WHERE id = :id";
    storage::Parameters parameters{{"id", std::string(kTask)}};
    if (!reads) {
        sql =
            "INSERT INTO tasks (id, type, status, spec, task_metadata, request_hash, created_at, updated_at) "
            "VALUES (:id, 'engineering', 'queued', :spec, '{}', '', :now, :now) RETURNING *";
        parameters = {{"id", new_uuid()}, {"spec", "add a button to the page"}, {"now", to_micros(system_now())}};
    }
    auto rows = co_await database->query(std::move(sql), std::move(parameters));
    co_return json_reply(reads ? 200 : 201, text_of(rows.value().rows.at(0)));
}

Task<http::Reply> constant(http::Request, http::Peer) {
    co_return json_reply(200, R"({"id": "b3addeb0-34bb-47fa-8c77-28d483328041"})");
}

class Running {
  public:
    Running(Kind kind, bool postgres) : store_(io_, postgres) {
        log::setup(log::Level::error, log::Format::console, "bench");
        database_ = store_.open();
        Options options;
        options.state_directory = directory_.path();
        service_ = std::make_unique<Service>(*database_, options);
        testing::run(io_, service_->bootstrap()).value();
        token = posix::read_file(directory_ / "service.token", 1000).value();
        make_task();
        http::Handler handler = constant;
        if (kind == Kind::api) handler = service_->handler();
        if (kind == Kind::statement)
            handler = [database = database_.get()](http::Request request, http::Peer) {
                return only_the_statement(database, std::move(request));
            };
        server_ = std::make_unique<http::Server>(io_.get_executor(), handler);
        server_->listen_unix(directory_ / "api.sock", 0600).value();
        url = "http+unix://" + (directory_ / "api.sock").string();
        io_.restart();
        thread_ = std::thread([this] {
            const auto work = asio::make_work_guard(io_);
            io_.run();
        });
    }
    ~Running() {
        io_.stop();
        thread_.join();
        server_.reset();
        service_.reset();
        database_.reset();
    }
    std::string url;
    std::string token;

  private:
    void make_task() {
        http::Request request{.method = "POST", .target = "/api/tasks", .headers = {}, .body = {}};
        request.headers.set("Authorization", "Bearer " + token);
        request.body = R"({"id": ")" + std::string(kTask) + R"(", "type": "engineering", "spec": "add a button"})";
        testing::run(io_, service_->handler()(std::move(request), http::Peer{}));
    }
    asio::io_context io_{1};
    testing::TempDirectory directory_;
    testing::TestStore store_;
    std::unique_ptr<storage::Database> database_;
    std::unique_ptr<Service> service_;
    std::unique_ptr<http::Server> server_;
    std::thread thread_;
};

// Starting a PostgreSQL takes two seconds: each is started once for all figures.
Running& running(Kind kind, bool postgres) {
    static std::map<std::pair<Kind, bool>, std::unique_ptr<Running>> all;
    auto& one = all[{kind, postgres}];
    if (!one) one = std::make_unique<Running>(kind, postgres);
    return *one;
}

Task<void> ask(http::Client* client, http::Request request, int times, unsigned expected, std::vector<double>* took) {
    for (int i = 0; i < times; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        auto response = co_await client->send(request);
        took->push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
        if (!response || response->status != expected) {
            std::fprintf(stderr, "bench: %s\n", response ? response->body.c_str() : response.error().message.c_str());
            std::abort();
        }
    }
}

double percentile(std::vector<double>& values, double which) {
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(which * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

void measure(benchmark::State& state, Kind kind, bool postgres, bool reads) {
    auto& server = running(kind, postgres);
    const auto connections = static_cast<int>(state.range(0));
    const int each = connections == 1 ? 64 : 8;
    http::Request request{.method = reads ? "GET" : "POST", .target = "/api/tasks", .headers = {}, .body = {}};
    request.headers.set("Authorization", "Bearer " + server.token);
    if (reads)
        request.target += "/" + std::string(kTask);
    else
        request.body = R"({"type": "engineering", "spec": "add a button to the page"})";
    asio::io_context io(1);
    std::vector<std::unique_ptr<http::Client>> clients;
    for (int i = 0; i < connections; ++i)
        clients.push_back(std::make_unique<http::Client>(io.get_executor(), http::parse_url(server.url).value()));
    std::vector<double> took;
    for (auto _ : state) {
        io.restart();
        for (const auto& client : clients)
            asio::co_spawn(io, ask(client.get(), request, each, reads || kind == Kind::constant ? 200 : 201, &took),
                           [](std::exception_ptr) {});
        io.run();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(took.size()));
    state.counters["p50_us"] = percentile(took, 0.5);
    state.counters["p99_us"] = percentile(took, 0.99);
}

#define CODEGEN_BENCH(name, ...)                  \
    BENCHMARK_CAPTURE(measure, name, __VA_ARGS__) \
        ->Arg(1)                                  \
        ->Arg(64)                                 \
        ->MinTime(0.2)                            \
        ->UseRealTime()                           \
        ->Unit(benchmark::kMillisecond)

CODEGEN_BENCH(floor_constant, Kind::constant, false, true);
CODEGEN_BENCH(sqlite_get_floor, Kind::statement, false, true);
CODEGEN_BENCH(sqlite_get_api, Kind::api, false, true);
CODEGEN_BENCH(sqlite_post_floor, Kind::statement, false, false);
CODEGEN_BENCH(sqlite_post_api, Kind::api, false, false);
CODEGEN_BENCH(postgres_get_floor, Kind::statement, true, true);
CODEGEN_BENCH(postgres_get_api, Kind::api, true, true);
CODEGEN_BENCH(postgres_post_floor, Kind::statement, true, false);
CODEGEN_BENCH(postgres_post_api, Kind::api, true, false);

}  // namespace
}  // namespace codegen::api
