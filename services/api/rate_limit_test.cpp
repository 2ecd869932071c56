#include "services/api/rate_limit.hpp"

#include <gtest/gtest.h>

namespace codegen::api {
namespace {

using namespace std::chrono_literals;

TEST(RateLimit, AMinutesWorthAtOnceThenSteadily) {
    RateLimit limit(60);
    RateLimit::Time now{};
    for (int i = 0; i < 60; ++i) EXPECT_FALSE(limit.refuse("a", now)) << i;
    EXPECT_EQ(limit.refuse("a", now), 1);
    EXPECT_FALSE(limit.refuse("b", now));
    now += 1s;
    EXPECT_FALSE(limit.refuse("a", now));
    EXPECT_TRUE(limit.refuse("a", now));
    now += 10s;  // what was refused cost nothing
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(limit.refuse("a", now)) << i;
    EXPECT_TRUE(limit.refuse("a", now));
}

TEST(RateLimit, SaysHowLongToWait) {
    RateLimit limit(2);
    RateLimit::Time now{};
    EXPECT_FALSE(limit.refuse("a", now));
    EXPECT_FALSE(limit.refuse("a", now));
    const auto wait = limit.refuse("a", now);
    ASSERT_EQ(wait, 30);
    EXPECT_TRUE(limit.refuse("a", now + 29s));
    EXPECT_FALSE(limit.refuse("a", now + 30s));
}

TEST(RateLimit, ZeroIsNoLimitAndOldCallersAreForgotten) {
    RateLimit none(0);
    for (int i = 0; i < 1000; ++i) EXPECT_FALSE(none.refuse("a", {}));
    EXPECT_EQ(none.tracked(), 0u);
    RateLimit limit(10);
    RateLimit::Time now = RateLimit::Time{} + 1h;
    for (int i = 0; i < 1000; ++i) (void)limit.refuse(std::to_string(i), now);
    EXPECT_EQ(limit.tracked(), 1000u);
    (void)limit.refuse("a", now + 2min);
    EXPECT_EQ(limit.tracked(), 1u);
}

}  // namespace
}  // namespace codegen::api
