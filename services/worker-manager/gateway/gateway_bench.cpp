// What the gateway adds: latency to the first byte of a model's answer, and throughput, beside a direct connection,
// with 1 and 50 streams at once. The provider, the gateway and the client each have a thread of their own.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <thread>

#include "services/worker-manager/gateway/gateway.hpp"
#include "shared/async/scope.hpp"
#include "shared/http/client.hpp"
#include "shared/http/server.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::worker_manager {
namespace {

constexpr std::size_t kLargeAnswer = 16u << 20;

struct Thread {
    Thread() : work(asio::make_work_guard(io)), thread([this] { io.run(); }) {}
    ~Thread() {
        io.stop();
        thread.join();
    }
    template <class F>
    auto call(F f) {
        std::packaged_task<decltype(f())()> task(std::move(f));
        auto result = task.get_future();
        asio::post(io, [&task] { task(); });
        return result.get();
    }
    asio::io_context io{1};
    asio::executor_work_guard<asio::io_context::executor_type> work;
    std::thread thread;
};

Task<Result<void>> send_large(http::Stream* stream) {
    const std::string piece(64u << 10, 'x');
    for (std::size_t sent = 0; sent < kLargeAnswer; sent += piece.size()) {
        auto written = co_await stream->write(piece);
        if (!written) co_return written;
    }
    co_return Result<void>{};
}

Task<http::Reply> answer(http::Request request, http::Peer) {
    http::Reply reply;
    if (request.body == "large")
        reply.body = [](http::Stream& stream) { return send_large(&stream); };
    else
        reply.head.body = "data: {\"type\":\"ping\"}\n\n";
    reply.head.headers.set("Content-Type", "text/event-stream");
    co_return reply;
}

struct Setup {
    Setup() {
        port = provider.call([this] {
            server = std::make_unique<http::Server>(provider.io.get_executor(), answer);
            return *server->listen_tcp("127.0.0.1", 0);
        });
        direct_url = "http://127.0.0.1:" + std::to_string(port);
        gateway_thread.call([this] {
            redis::Address address;
            address.transport = redis::Address::Transport::unix_socket;
            address.path = directory / "no-redis";
            redis = std::make_unique<redis::Client>(gateway_thread.io.get_executor(), address);
            GatewaySettings settings;
            settings.redis = address;
            settings.api_url = direct_url;
            settings.providers = {anthropic_provider(direct_url, "key", "")};
            gateway = std::move(*Gateway::make(
                gateway_thread.io.get_executor(), *redis, std::make_shared<const GatewaySettings>(std::move(settings)),
                {.worker_id = "bench", .worker_type = contracts::WorkerType::developer}));
            return gateway->open(directory / "gateway", static_cast<int>(::getegid())).has_value();
        });
        control.connect(asio::local::stream_protocol::endpoint((directory / "gateway/wrapper/control.sock").string()));
        asio::write(control, asio::buffer(std::string_view("{\"run\":\"r1\"}\n")));
    }
    ~Setup() {
        gateway_thread.call([this] {
            gateway.reset();
            redis.reset();
        });
        provider.call([this] { server.reset(); });
    }
    testing::TempDirectory directory;
    Thread provider;
    Thread gateway_thread;
    asio::io_context control_io;
    asio::local::stream_protocol::socket control{control_io};  // as the wrapper's: a run is announced
    std::unique_ptr<http::Server> server;
    std::unique_ptr<redis::Client> redis;
    std::unique_ptr<Gateway> gateway;
    std::string direct_url;
    std::uint16_t port = 0;
};

struct Seen {
    std::size_t bytes = 0;
    std::vector<double> first_byte_us;
};

Task<void> exchange(http::Client* client, std::string target, std::string body, Seen* seen) {
    const auto begin = std::chrono::steady_clock::now();
    auto stream = co_await client->open({"POST", std::move(target), {}, std::move(body)}, std::chrono::seconds(30));
    if (!stream) co_return;
    for (bool first = true;; first = false) {
        auto piece = co_await (*stream)->read_some();
        if (first)
            seen->first_byte_us.push_back(
                std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
        if (!piece || piece->empty()) co_return;
        seen->bytes += piece->size();
    }
}

double quantile(std::vector<double> values, double q) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

void run_exchanges(benchmark::State& state, bool through_gateway, const std::string& body) {
    Setup setup;
    asio::io_context io{1};
    const auto url =
        through_gateway ? "http+unix://" + (setup.directory / "gateway" / "http.sock").string() : setup.direct_url;
    http::Client client(io.get_executor(), *http::parse_url(url));
    const std::string target = through_gateway ? "/model/anthropic/v1/messages" : "/v1/messages";
    Seen seen;
    for (auto _ : state) {
        async::Scope scope(io.get_executor());
        for (std::int64_t i = 0; i < state.range(0); ++i) scope.spawn("stream", exchange(&client, target, body, &seen));
        testing::run(io, scope.drain());
    }
    const auto expected = state.iterations() * state.range(0);
    if (static_cast<std::int64_t>(seen.first_byte_us.size()) != expected || seen.bytes == 0)
        state.SkipWithError("an exchange failed");
    state.SetBytesProcessed(static_cast<std::int64_t>(seen.bytes));
    state.counters["first_byte_p50_us"] = quantile(seen.first_byte_us, 0.5);
    state.counters["first_byte_p99_us"] = quantile(seen.first_byte_us, 0.99);
}

void first_byte_direct(benchmark::State& state) { run_exchanges(state, false, "small"); }
void first_byte_through_the_gateway(benchmark::State& state) { run_exchanges(state, true, "small"); }
void throughput_direct(benchmark::State& state) { run_exchanges(state, false, "large"); }
void throughput_through_the_gateway(benchmark::State& state) { run_exchanges(state, true, "large"); }
BENCHMARK(first_byte_direct)->Arg(1)->Arg(50)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(first_byte_through_the_gateway)->Arg(1)->Arg(50)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(throughput_direct)->Arg(1)->Arg(50)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(throughput_through_the_gateway)->Arg(1)->Arg(50)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace codegen::worker_manager
