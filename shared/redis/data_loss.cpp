#include "shared/redis/data_loss.hpp"

#include <boost/asio/steady_timer.hpp>
#include <charconv>

#include "shared/logging/log.hpp"

namespace codegen::redis {

struct DataLossDetector::Impl {
    Impl(asio::any_io_executor executor, Address address, std::string name,
         std::function<Task<Result<void>>()> callback, std::chrono::milliseconds every)
        : key("codegen:epoch:" + name),
          on_loss(std::move(callback)),
          interval(every),
          timer(executor),
          client(executor, std::move(address), {.on_connected = [this] { timer.cancel(); }}) {}

    Task<void> look(std::shared_ptr<Impl> self);

    const std::string key;
    const std::function<Task<Result<void>>()> on_loss;
    const std::chrono::milliseconds interval;
    asio::steady_timer timer;
    std::int64_t last = 0;  // what this process knows to have been written
    bool closed = false;
    Client client;
};

Task<void> DataLossDetector::Impl::look(std::shared_ptr<Impl> self) {
    auto stored = co_await client.command({"GET", key});
    if (!stored) co_return;  // Redis is away: nothing is known
    std::int64_t count = 0;
    std::from_chars(stored->text.data(), stored->text.data() + stored->text.size(), count);
    if (count == 0 || count < last) {
        if (last == 0) {
            log::info("nothing in Redis is from an earlier run, publishing what waits", {{"key", key}});
        } else {
            log::warning("Redis lost data, publishing again",
                         {{"key", key}, {"stored", std::to_string(count)}, {"expected", std::to_string(last)}});
        }
        auto told = co_await on_loss();
        if (!told) {
            log::error("what Redis lost could not be published again", {{"error", told.error().message}});
            co_return;
        }
        if (count == 0) {
            // Not below what others have seen: else their next look is a false alarm, and ours hides theirs.
            auto set = co_await client.command({"SET", key, "1", "NX"});
            if (!set) co_return;
            last = 1;
            co_return;
        }
        last = count;
    }
    auto next = co_await client.command({"INCR", key});
    if (next) self->last = std::max(count, next->integer);
}

DataLossDetector::DataLossDetector(asio::any_io_executor executor, Address address, std::string name,
                                   std::function<Task<Result<void>>()> on_loss, std::chrono::milliseconds interval)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(address), std::move(name), std::move(on_loss),
                                   interval)) {}

DataLossDetector::~DataLossDetector() {
    impl_->closed = true;
    impl_->client.close();
    impl_->timer.cancel();
}

Task<void> DataLossDetector::run() {
    return [](std::shared_ptr<Impl> impl) -> Task<void> {
        while (!impl->closed) {
            co_await impl->look(impl);
            if (impl->closed) co_return;
            impl->timer.expires_after(impl->interval);
            co_await impl->timer.async_wait(async::use_tuple);
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) co_return;
        }
    }(impl_);
}

}  // namespace codegen::redis
