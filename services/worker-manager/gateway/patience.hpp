// When a provider that only fails is given up: some agents would ask it for ever. Pure.
#pragma once
#include <algorithm>
#include <chrono>

namespace codegen::worker_manager {

// One worker's. Time is the caller's.
class ProviderPatience {
  public:
    using Time = std::chrono::steady_clock::time_point;
    // 0: endless.
    explicit ProviderPatience(std::chrono::milliseconds limit) : limit_(limit) {}

    void succeeded() { failures_ = 0; }
    // True: this failure, at least the third in a row, came `limit` or later after the row's first. Failures further
    // apart than `limit` (or two minutes: agents wait that long before they try again) are no row: an agent may have
    // worked for long in between.
    bool failed(Time now) {
        if (limit_.count() == 0) return false;
        if (failures_ == 0 || now - last_ > std::max(limit_, kLongestWait)) {
            failures_ = 0;
            first_ = now;
        }
        last_ = now;
        if (++failures_ < kRow || now - first_ < limit_) return false;
        failures_ = 0;  // whoever tries again begins a new row
        lost_until_ = now + limit_;
        return true;
    }
    // Given up; after `limit` it is tried again.
    bool lost(Time now) const { return now < lost_until_; }
    void forget() {
        failures_ = 0;
        lost_until_ = {};
    }

  private:
    static constexpr int kRow = 3;
    static constexpr std::chrono::milliseconds kLongestWait{120000};
    const std::chrono::milliseconds limit_;
    int failures_ = 0;
    Time first_{};
    Time last_{};
    Time lost_until_{};
};

}  // namespace codegen::worker_manager
