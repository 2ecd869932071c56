// Many messages through one consumer, in bounded memory. SOAK_MESSAGES (50,000; `make soak`: 1,000,000).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "shared/async/scope.hpp"
#include "shared/redis/consumer.hpp"
#include "shared/redis/streams.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_redis.hpp"

namespace codegen::redis {
namespace {

constexpr int kChunk = 500;
constexpr int kBacklog = 20000;  // what the producer lets the consumer be behind
#if __has_feature(address_sanitizer)
constexpr long kGrowth = 1L << 30;  // its quarantine keeps what was freed
#else
constexpr long kGrowth = 48L << 20;
#endif

int wanted() {
    const char* text = std::getenv("SOAK_MESSAGES");
    return text ? std::atoi(text) : 50000;
}

long resident_bytes() {
    std::ifstream in("/proc/self/statm");
    long pages = 0;
    long resident = 0;
    in >> pages >> resident;
    return resident * 4096;
}

struct Load {
    int published = 0;
    std::vector<bool> seen;
    int handled = 0;
    int doubled = 0;
    long largest = 0;
};

Task<void> produce(Client* client, int count, Load* load) {
    while (load->published < count) {
        if (load->published - load->handled > kBacklog) {
            co_await async::sleep_for(std::chrono::milliseconds(5));
            continue;
        }
        std::vector<Arguments> chunk;
        for (int i = 0; i < kChunk && load->published < count; ++i)
            chunk.push_back({"XADD", "s", "*", "data", "{\"n\":" + std::to_string(load->published++) + "}"});
        auto added = co_await client->transaction(std::move(chunk));
        EXPECT_TRUE(added) << added.error().message;
        if (load->published % (kChunk * 20) == 0) {
            auto trimmed = co_await trim_consumed(*client, "s");
            EXPECT_TRUE(trimmed) << trimmed.error().message;
        }
    }
}

TEST(ConsumerSoak, EveryMessageOnceInBoundedMemory) {
    asio::io_context io(1);
    codegen::testing::TempRedis redis(io);
    const int count = wanted();
    Load load;
    load.seen.resize(static_cast<std::size_t>(count));
    Client client(io.get_executor(), redis.address());
    std::optional<Consumer> consumer;
    consumer.emplace(
        io.get_executor(), redis.address(),
        ConsumerOptions{.stream = "s", .group = "g", .consumer = "c", .service = "soak", .concurrency = 64},
        [&](Delivery delivery) -> Task<Result<void>> {
            const auto n = static_cast<std::size_t>(std::atoi(delivery.data.c_str() + 5));
            if (load.seen.at(n)) ++load.doubled;
            load.seen.at(n) = true;
            if (++load.handled % 10000 == 0) load.largest = std::max(load.largest, resident_bytes());
            if (load.handled == count) consumer->stop();
            return []() -> Task<Result<void>> { co_return Result<void>(); }();
        });
    const long before = resident_bytes();
    async::Scope scope(io.get_executor());
    scope.spawn("producer", produce(&client, count, &load));
    const auto ended = codegen::testing::run(io, consumer->run(), std::chrono::minutes(20));
    EXPECT_TRUE(ended);
    EXPECT_EQ(load.handled, count);
    EXPECT_EQ(load.doubled, 0);
    EXPECT_TRUE(std::ranges::all_of(load.seen, [](bool seen) { return seen; }));
    EXPECT_LT(load.largest - before, kGrowth) << "bytes of growth with " << count << " messages";
    codegen::testing::run(io, scope.stop());
}

}  // namespace
}  // namespace codegen::redis
