// Commands that must reach Redis, one after the other, across lost connections: sent again until answered. An error
// reply is tried again after a while (a Redis that came back empty knows this worker's user only later), or given up
// for those that may be lost.
#pragma once
#include <deque>
#include <functional>

#include "packages/worker-wrapper/redis_link.hpp"

namespace codegen::wrapper {

class Outbox {
  public:
    enum class Care { until_done, best_effort };

    Outbox(Loop& loop, RedisLink& link) : loop_(loop), link_(link) {}
    ~Outbox() { loop_.cancel(retry_); }
    Outbox(const Outbox&) = delete;

    // `done` is called when Redis has answered (for best_effort also with an error).
    void push(redis::Arguments command, Care care, std::function<void()> done = {});
    void link_up() { send_next(); }
    void when_empty(std::function<void()> callback);  // once, at once if it is

  private:
    struct Item {
        redis::Arguments command;
        Care care;
        std::function<void()> done;
    };
    void send_next();
    void answered(const redis::Reply* reply);

    Loop& loop_;
    RedisLink& link_;
    std::deque<Item> items_;
    std::function<void()> when_empty_;
    bool in_flight_ = false;
    Loop::TimerId retry_ = 0;
    std::chrono::steady_clock::time_point last_said_{};
};

}  // namespace codegen::wrapper
