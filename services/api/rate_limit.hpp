// How many requests a token may make: a bucket of a minute's worth, refilled steadily. Pure; use on one thread.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

namespace codegen::api {

class RateLimit {
  public:
    using Time = std::chrono::steady_clock::time_point;
    // `per_minute` 0: no limit.
    explicit RateLimit(std::int64_t per_minute) : per_minute_(static_cast<double>(per_minute)) {}
    // Takes one request of `who`. Refused: after how many seconds there is room again, at least 1.
    std::optional<std::int64_t> refuse(const std::string& who, Time now);
    std::size_t tracked() const { return buckets_.size(); }  // of those who asked within the last minute

  private:
    struct Bucket {
        double left;
        Time at;
    };
    double left_at(const Bucket& bucket, Time now) const;
    void forget_the_full(Time now);

    const double per_minute_;
    std::unordered_map<std::string, Bucket> buckets_;
    Time next_look_{};
};

}  // namespace codegen::api
