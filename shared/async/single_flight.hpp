// Concurrent requests for the same thing make it once; each gets the one result.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "shared/async/async.hpp"

namespace codegen::async {

// Use on one thread. When the request that does the work is cancelled, one of those waiting starts over.
template <class T>
class SingleFlight {
  public:
    Task<Result<T>> run(std::string key, std::function<Task<Result<T>>()> work) {
        for (;;) {
            auto found = flights_.find(key);
            if (found == flights_.end()) break;
            auto flight = found->second;
            co_await flight->ended.async_wait(async::use_tuple);
            if (flight->result) co_return *flight->result;
            if (flight->abandoned) continue;
            co_return fail(ErrorCategory::transient, "cancelled", key + ": cancelled while waiting");
        }
        auto flight = std::make_shared<Flight>(co_await asio::this_coro::executor);
        flights_[key] = flight;
        Landing landing{*this, key, flight};
        Result<T> result = co_await work();
        flight->result = result;
        co_return result;
    }

  private:
    struct Flight {
        explicit Flight(const asio::any_io_executor& executor)
            : ended(executor, asio::steady_timer::time_point::max()) {}
        asio::steady_timer ended;
        std::optional<Result<T>> result;
        bool abandoned = false;
    };
    struct Landing {
        SingleFlight& owner;
        std::string key;
        std::shared_ptr<Flight> flight;
        ~Landing() {
            flight->abandoned = !flight->result;
            owner.flights_.erase(key);
            flight->ended.cancel();
        }
    };
    std::map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace codegen::async
