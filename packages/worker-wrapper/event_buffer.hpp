// Events on their way to Redis: handed over at once while there is a connection, kept up to a limit while there is
// none; then the oldest go, and are counted. Pure.
#pragma once
#include <algorithm>
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

// How many of its newest entries a stream keeps, so that all of them have at most `budget` bytes together: Redis itself
// only counts them. What an earlier wrapper has left is unknown and taken for as large as an entry gets. Pure.
class StreamBudget {
  public:
    StreamBudget(std::size_t budget, std::size_t largest, std::size_t most)
        : budget_(budget), largest_(largest), most_(most) {}

    // The stream's length when an entry of `size` bytes has been added.
    std::size_t keep_with(std::size_t size) {
        sizes_.push_back(size + kOverhead);
        bytes_ += sizes_.back();
        while (sizes_.size() > 1 && (bytes_ > budget_ || sizes_.size() > most_)) {
            bytes_ -= sizes_.front();
            sizes_.pop_front();
        }
        const auto older = bytes_ < budget_ ? (budget_ - bytes_) / largest_ : 0;
        return std::min(most_, sizes_.size() + older);
    }

  private:
    static constexpr std::size_t kOverhead = 64;  // its id, its field's name, its place
    const std::size_t budget_;
    const std::size_t largest_;
    const std::size_t most_;
    std::deque<std::size_t> sizes_;  // of the newest that we have added
    std::size_t bytes_ = 0;
};

}  // namespace codegen::wrapper
