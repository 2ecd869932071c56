// XADD -> handler latency and consumer throughput, beside a bare XREADGROUP + XACK loop on the same server (the floor).
#include <benchmark/benchmark.h>

#include <boost/asio/co_spawn.hpp>
#include <cstdlib>

#include "shared/redis/consumer.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_redis.hpp"

namespace codegen::redis {
namespace {

constexpr std::size_t kBatch = 5000;

void until(asio::io_context& io, const std::function<bool()>& condition) {
    while (!condition()) {
        io.restart();
        io.run_one();
    }
}

void fill(asio::io_context& io, Client& client) {
    std::vector<Arguments> commands;
    for (std::size_t i = 0; i < kBatch; ++i) {
        commands.push_back({"XADD", "s", "*", "data", R"({"request_id":"x","text":"some text"})"});
    }
    auto filled = testing::run(io, client.transaction(std::move(commands)));
    if (!filled) std::abort();
}

struct Setup {
    asio::io_context io;
    testing::TempRedis redis{io};
    Client client{io.get_executor(), redis.address()};
};

Task<Result<void>> succeed() { co_return Result<void>(); }

std::unique_ptr<Consumer> consume(Setup& setup, std::size_t* count) {
    auto consumer = std::make_unique<Consumer>(
        setup.io.get_executor(), setup.redis.address(),
        ConsumerOptions{.stream = "s", .group = "g", .consumer = "c", .service = "bench"}, [count](const Delivery&) {
            ++*count;
            return succeed();
        });
    asio::co_spawn(setup.io, consumer->run(), [](std::exception_ptr, const Result<void>&) {});
    return consumer;
}

void latency_to_handler(benchmark::State& state) {
    Setup setup;
    std::size_t count = 0;
    auto consumer = consume(setup, &count);
    const auto once = [&] {
        const auto before = count;
        asio::co_spawn(setup.io, publish(setup.client, "s", "{}"),
                       [](std::exception_ptr, const Result<std::string>&) {});
        until(setup.io, [&] { return count > before; });
    };
    once();
    for (auto _ : state) once();
}
BENCHMARK(latency_to_handler)->Unit(benchmark::kMicrosecond)->UseRealTime();

void latency_of_bare_xreadgroup(benchmark::State& state) {
    Setup setup;
    Client reader(setup.io.get_executor(), setup.redis.address());
    setup.redis.command({"XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"});
    for (auto _ : state) {
        bool read = false;
        asio::co_spawn(setup.io,
                       reader.command({"XREADGROUP", "GROUP", "g", "c", "COUNT", "16", "BLOCK", "2000", "NOACK",
                                       "STREAMS", "s", ">"}),
                       [&](std::exception_ptr, const Result<Reply>&) { read = true; });
        asio::co_spawn(setup.io, publish(setup.client, "s", "{}"),
                       [](std::exception_ptr, const Result<std::string>&) {});
        until(setup.io, [&] { return read; });
    }
}
BENCHMARK(latency_of_bare_xreadgroup)->Unit(benchmark::kMicrosecond)->UseRealTime();

void consumer_throughput(benchmark::State& state) {
    Setup setup;
    std::size_t count = 0;
    auto consumer = consume(setup, &count);
    for (auto _ : state) {
        const auto goal = count + kBatch;
        fill(setup.io, setup.client);
        until(setup.io, [&] { return count >= goal; });
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(count));
}
BENCHMARK(consumer_throughput)->Unit(benchmark::kMillisecond)->UseRealTime();

void bare_xreadgroup_throughput(benchmark::State& state) {
    Setup setup;
    setup.redis.command({"XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"});
    std::int64_t count = 0;
    for (auto _ : state) {
        fill(setup.io, setup.client);
        for (std::size_t read = 0; read < kBatch;) {
            auto reply = testing::run(
                setup.io, setup.client.command({"XREADGROUP", "GROUP", "g", "c", "COUNT", "16", "STREAMS", "s", ">"}));
            Arguments acknowledge{"XACK", "s", "g"};
            for (const auto& entry : parse_xread(*reply)) acknowledge.push_back(entry.id);
            read += acknowledge.size() - 3;
            if (!testing::run(setup.io, setup.client.command(std::move(acknowledge)))) std::abort();
        }
        count += kBatch;
    }
    state.SetItemsProcessed(count);
}
BENCHMARK(bare_xreadgroup_throughput)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace codegen::redis
