#include "shared/clients/github/rate_budget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace codegen::clients::github {
namespace {

using std::chrono::seconds;

constexpr seconds kUnsaidWait{60};  // "wait for at least one minute" where a secondary limit names no time

std::optional<std::int64_t> number(const http::Response& response, std::string_view name) {
    const auto text = response.headers.get(name);
    std::int64_t value = 0;
    if (!text) return std::nullopt;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    return error == std::errc{} && end == text->data() + text->size() ? std::optional(value) : std::nullopt;
}

Error exceeded(std::string_view what, Timestamp until, Timestamp now) {
    const auto wait = std::max(std::chrono::ceil<seconds>(until - now), seconds(1));
    return Error{ErrorCategory::upstream,
                 std::string(kRateLimitExceeded),
                 fmt::format("GitHub's rate limit: {}; again in {} s, at {}", what, wait.count(),
                             format_timestamp(std::chrono::ceil<seconds>(until)).substr(0, 19) + "Z"),
                 {},
                 wait};
}

bool speaks_of_a_limit(const http::Response& response) {
    return response.body.contains("rate limit") || response.body.contains("abuse detection");
}

}  // namespace

std::int64_t RateBudget::allowed() const {
    // Of a small limit (GitHub Enterprise sets its own) the same share stays for others.
    return std::min(hourly_, *limit_ - *limit_ / 10);
}

Result<void> RateBudget::take(Timestamp now) {
    if (now < blocked_until_)
        return std::unexpected(exceeded("it asked us to wait after too many requests", blocked_until_, now));
    if (const auto remaining = left(now); remaining && *remaining <= 0)
        return std::unexpected(exceeded(
            fmt::format("{} of {} requests an hour are used, our budget is {}", used_ + under_way_, *limit_, allowed()),
            reset_, now));
    ++under_way_;
    return {};
}

std::optional<std::int64_t> RateBudget::left(Timestamp now) const {
    if (!limit_ || now >= reset_) return std::nullopt;
    return allowed() - used_ - under_way_;
}

std::optional<Error> RateBudget::learn(const http::Response* response, Timestamp now) {
    under_way_ = std::max<std::int64_t>(under_way_ - 1, 0);
    if (!response) return std::nullopt;
    const auto limit = number(*response, "x-ratelimit-limit");
    const auto remaining = number(*response, "x-ratelimit-remaining");
    const auto reset = number(*response, "x-ratelimit-reset");
    if (limit && remaining && reset && *limit > 0) {
        limit_ = *limit;
        used_ = *limit - *remaining;
        reset_ = Timestamp(seconds(*reset));
    }
    if (response->status != 429 && response->status != 403) return std::nullopt;
    if (const auto asked = http::retry_after(response->headers, now)) {
        blocked_until_ = now + std::max(*asked, seconds(1));
        return exceeded("a secondary limit", blocked_until_, now);
    }
    if (remaining && *remaining == 0 && reset) {
        blocked_until_ = std::max(reset_, now + seconds(1));
        return exceeded(fmt::format("all {} requests an hour are used", limit.value_or(0)), blocked_until_, now);
    }
    if (response->status == 429 || speaks_of_a_limit(*response)) {
        blocked_until_ = now + kUnsaidWait;
        return exceeded("a secondary limit", blocked_until_, now);
    }
    return std::nullopt;
}

}  // namespace codegen::clients::github
