#include "services/api/rate_limit.hpp"

#include <algorithm>
#include <cmath>

namespace codegen::api {
namespace {
constexpr std::chrono::seconds kWindow{60};
}

double RateLimit::left_at(const Bucket& bucket, Time now) const {
    const auto passed = std::chrono::duration<double>(now - bucket.at) / kWindow;
    return std::min(per_minute_, bucket.left + passed * per_minute_);
}

void RateLimit::forget_the_full(Time now) {
    if (now < next_look_) return;
    next_look_ = now + kWindow;
    std::erase_if(buckets_, [&](const auto& entry) { return left_at(entry.second, now) >= per_minute_; });
}

std::optional<std::int64_t> RateLimit::refuse(const std::string& who, Time now) {
    if (per_minute_ <= 0) return std::nullopt;
    forget_the_full(now);
    auto& bucket = buckets_.try_emplace(who, per_minute_, now).first->second;
    bucket = {left_at(bucket, now), now};
    if (bucket.left >= 1) {
        bucket.left -= 1;
        return std::nullopt;
    }
    const auto wait = (1 - bucket.left) / per_minute_ * std::chrono::duration<double>(kWindow).count();
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(wait)));
}

}  // namespace codegen::api
