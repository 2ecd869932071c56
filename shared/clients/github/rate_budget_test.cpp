#include "shared/clients/github/rate_budget.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace codegen::clients::github {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

const Timestamp kNow = from_micros(1'767'225'600'000'000);
constexpr std::int64_t kReset = 1'767'225'600 + 600;

http::Response answer(unsigned status, std::int64_t limit, std::int64_t remaining, std::string body = {}) {
    http::Response response;
    response.status = status;
    response.headers.set("X-RateLimit-Limit", std::to_string(limit));
    response.headers.set("X-RateLimit-Remaining", std::to_string(remaining));
    response.headers.set("X-RateLimit-Reset", std::to_string(kReset));
    response.body = std::move(body);
    return response;
}

TEST(RateBudgetTest, KnowsNothingBeforeTheFirstAnswer) {
    RateBudget budget(4500);
    EXPECT_FALSE(budget.left(kNow));
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.take(kNow));
}

TEST(RateBudgetTest, RefusesAtOnceWhenItsBudgetIsSpentThoughGitHubWouldAllowMore) {
    RateBudget budget(4500);
    ASSERT_TRUE(budget.take(kNow));
    auto response = answer(200, 5000, 502);
    EXPECT_FALSE(budget.learn(&response, kNow));
    EXPECT_EQ(budget.left(kNow), 2);
    EXPECT_TRUE(budget.take(kNow));
    EXPECT_TRUE(budget.take(kNow));
    const auto refused = budget.take(kNow);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, ErrorCategory::upstream);
    EXPECT_EQ(refused.error().code, "rate_limit_exceeded");
    EXPECT_EQ(refused.error().retry_after, 600s);
    EXPECT_THAT(refused.error().message, HasSubstr("4500 of 5000"));
    EXPECT_THAT(refused.error().message, HasSubstr("2026-01-01T00:10:00Z"));
    // The hour is over.
    EXPECT_TRUE(budget.take(kNow + 600s));
    EXPECT_FALSE(budget.left(kNow + 600s));
}

TEST(RateBudgetTest, CountsWhatIsUnderWayUntilItsAnswerIsThere) {
    RateBudget budget(10);
    auto response = answer(200, 5000, 4995);
    ASSERT_TRUE(budget.take(kNow));
    budget.learn(&response, kNow);
    ASSERT_TRUE(budget.take(kNow));
    ASSERT_TRUE(budget.take(kNow));
    EXPECT_EQ(budget.left(kNow), 3);
    budget.learn(nullptr, kNow);  // no answer came
    EXPECT_EQ(budget.left(kNow), 4);
}

TEST(RateBudgetTest, LeavesATenthOfASmallLimitToOthers) {
    RateBudget budget(4500);
    ASSERT_TRUE(budget.take(kNow));
    auto response = answer(200, 100, 10);
    budget.learn(&response, kNow);
    EXPECT_FALSE(budget.take(kNow));
}

TEST(RateBudgetTest, ServersWithoutLimitsAreNotLimited) {
    RateBudget budget(1);
    http::Response response;
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(budget.take(kNow));
        EXPECT_FALSE(budget.learn(&response, kNow));
    }
}

TEST(RateBudgetTest, HonoursRetryAfterOfASecondaryLimit) {
    for (const unsigned status : {403u, 429u}) {
        RateBudget budget(4500);
        ASSERT_TRUE(budget.take(kNow));
        auto response = answer(status, 5000, 4000, "You have exceeded a secondary rate limit");
        response.headers.set("Retry-After", "17");
        const auto error = budget.learn(&response, kNow);
        ASSERT_TRUE(error);
        EXPECT_EQ(error->code, "rate_limit_exceeded");
        EXPECT_EQ(error->retry_after, 17s);
        EXPECT_FALSE(budget.take(kNow + 16s));
        EXPECT_TRUE(budget.take(kNow + 17s));
    }
}

TEST(RateBudgetTest, WaitsForTheResetWhenAllIsUsed) {
    RateBudget budget(4500);
    ASSERT_TRUE(budget.take(kNow));
    auto response = answer(403, 5000, 0, R"({"message": "API rate limit exceeded"})");
    const auto error = budget.learn(&response, kNow);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->retry_after, 600s);
    EXPECT_FALSE(budget.take(kNow + 599s));
    EXPECT_TRUE(budget.take(kNow + 601s));
}

TEST(RateBudgetTest, WaitsAMinuteWhereNoTimeIsNamed) {
    RateBudget budget(4500);
    ASSERT_TRUE(budget.take(kNow));
    http::Response response;
    response.status = 403;
    response.body = R"({"message": "You have triggered an abuse detection mechanism."})";
    const auto error = budget.learn(&response, kNow);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->retry_after, 60s);
}

TEST(RateBudgetTest, AMissingPermissionIsNoLimit) {
    RateBudget budget(4500);
    ASSERT_TRUE(budget.take(kNow));
    auto response = answer(403, 5000, 4000, R"({"message": "Resource not accessible by integration"})");
    EXPECT_FALSE(budget.learn(&response, kNow));
    EXPECT_TRUE(budget.take(kNow));
}

}  // namespace
}  // namespace codegen::clients::github
