// How many requests GitHub still takes from us, and how many of those we allow ourselves. No I/O, no clock.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "shared/base/result.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/http/message.hpp"

namespace codegen::clients::github {

inline constexpr std::string_view kRateLimitExceeded = "rate_limit_exceeded";

class RateBudget {
  public:
    // `hourly`: of the requests of one window (an hour); the rest of what GitHub allows (5,000 and more) is for others
    // who use the same installation.
    explicit RateBudget(std::int64_t hourly) : hourly_(hourly) {}

    // Before a request. Refused, without waiting, when the budget is spent or GitHub asked to wait: upstream
    // "rate_limit_exceeded", which says until when, with what is left of it as retry_after.
    Result<void> take(Timestamp now);
    // After it, however it ended: nullptr: without an answer, also when it was cancelled. The error, as above, when the
    // answer is a refusal for its rate: 429, or 403 that says so.
    std::optional<Error> learn(const http::Response* response, Timestamp now);

    // Of our own budget; nullopt: nothing is known yet.
    std::optional<std::int64_t> left(Timestamp now) const;

  private:
    std::int64_t allowed() const;

    const std::int64_t hourly_;
    // What the last answer said.
    std::optional<std::int64_t> limit_;
    std::int64_t used_ = 0;
    Timestamp reset_{};
    Timestamp blocked_until_{};   // by a refusal
    std::int64_t under_way_ = 0;  // taken and not learned of
};

}  // namespace codegen::clients::github
