// Events on their way to Redis: handed over at once while there is a connection, kept up to a limit while there is
// none; then the oldest go, and are counted. Pure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>

namespace codegen::wrapper {

class EventBuffer {
  public:
    EventBuffer(std::size_t max_events, std::size_t max_bytes) : max_events_(max_events), max_bytes_(max_bytes) {}

    void push(std::string event) {
        bytes_ += event.size();
        events_.push_back(std::move(event));
        while (!events_.empty() && (events_.size() > max_events_ || bytes_ > max_bytes_)) {
            bytes_ -= events_.front().size();
            events_.pop_front();
            ++lost_;
        }
    }
    void drain(const std::function<void(std::string)>& send) {
        for (; !events_.empty(); events_.pop_front()) send(std::move(events_.front()));
        bytes_ = 0;
    }
    // How many were lost since the last call.
    std::uint64_t take_lost() { return std::exchange(lost_, 0); }
    bool empty() const { return events_.empty(); }

  private:
    const std::size_t max_events_;
    const std::size_t max_bytes_;
    std::deque<std::string> events_;
    std::size_t bytes_ = 0;
    std::uint64_t lost_ = 0;
};

}  // namespace codegen::wrapper
