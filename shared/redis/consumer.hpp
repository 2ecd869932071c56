// A consumer group member: reads, hands over, acknowledges, retries, claims what others abandoned, writes dead letters.
// Rules in docs/protocols.md, "Errors, retries, dead letters". The decisions are in consumer_core.hpp (no I/O).
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/retry.hpp"
#include "shared/json/json.hpp"
#include "shared/redis/client.hpp"

namespace codegen::redis {

struct ConsumerOptions {
    std::string stream;
    std::string group;
    std::string consumer;  // stable over restarts of one instance: its own pending entries are taken over at once
    std::string service;   // for dead letters and logs
    std::size_t concurrency = 16;
    std::chrono::milliseconds block{2000};
    std::chrono::milliseconds claim_idle{60000};  // pending this long with another consumer: abandoned
    std::chrono::milliseconds claim_interval{15000};
    std::chrono::milliseconds forget_idle{3600000};  // consumers of the group without pending entries are removed
    std::size_t most_found = 10000;  // pending entries found at a look; more are found once half of them are done
    RetryPolicy policy{};
};

// One delivered entry.
struct Delivery {
    StreamEntry entry;
    std::string data;         // the field `data`; without one, the entry's own fields as a JSON object (older writers)
    std::string traceparent;  // or empty
    int attempt = 1;          // 1 + retries so far

    // `data` as T, whichever of the two ways it was written.
    template <class T>
    json::Parsed<T> parse() const {
        return entry.field("data") ? json::parse<T>(data) : json::parse_fields<T>(data);
    }
};

// The error's category decides: transient and upstream are retried with backoff while the entry stays pending, then
// dead letter; permanent is a dead letter now; fatal stops the consumer and makes run() return the error. Must be
// idempotent.
using DeliveryHandler = std::function<Task<Result<void>>(Delivery)>;

class Consumer {
  public:
    // The client of `address` is made inside (reading blocks it; a second one acknowledges).
    Consumer(asio::any_io_executor executor, Address address, ConsumerOptions options, DeliveryHandler handler);
    ~Consumer();
    // Makes stream and group (from the beginning) when absent, also after NOGROUP. Returns when cancelled or stopped
    // (after handlers in flight ended), or with the fatal error. Once.
    // While Redis is away it waits and goes on. Cancelling run() cancels the handlers too; what they did not finish is
    // delivered again. run() may outlive this object.
    Task<Result<void>> run();
    void stop();  // reads no more; handlers in flight end by themselves

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

// Parses `data` as T first; what does not validate is a permanent error naming every path.
template <class T>
DeliveryHandler typed(std::function<Task<Result<void>>(T, Delivery)> handler) {
    return [handler = std::move(handler)](Delivery delivery) -> Task<Result<void>> {
        // Not a coroutine itself: the frame below owns everything it needs.
        auto message = delivery.parse<T>();
        if (!message)
            return [](FieldErrors errors) -> Task<Result<void>> {
                co_return std::unexpected(invalid(errors));
            }(std::move(message.error()));
        return handler(std::move(*message), std::move(delivery));
    };
}

// Every stream that this process consumes, for `orchestratord consumers` and the tests that must cover them all.
struct ConsumedStream {
    std::string stream;  // may hold {worker_id}
    std::string group;
    std::string role;
    std::string message;  // contract name
};

}  // namespace codegen::redis
