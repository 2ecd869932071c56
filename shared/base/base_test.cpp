#include <gtest/gtest.h>

#include <set>

#include "shared/base/ids.hpp"
#include "shared/base/result.hpp"
#include "shared/base/retry.hpp"
#include "shared/base/timestamp.hpp"

namespace codegen {
namespace {

using namespace std::chrono_literals;

TEST(Ids, UuidsAreVersionFourAndDifferent) {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
        auto id = new_uuid();
        ASSERT_TRUE(is_uuid(id)) << id;
        EXPECT_EQ(id[14], '4');
        EXPECT_TRUE(std::string_view("89ab").contains(id[19])) << id;
        EXPECT_TRUE(seen.insert(std::move(id)).second);
    }
    EXPECT_FALSE(is_uuid("b3addeb0-34bb-57fa-8c77-28d48332804"));
    EXPECT_FALSE(is_uuid("b3addeb0-34bb-57fa-8c77-28d48332804g"));
    EXPECT_FALSE(is_uuid("b3addeb0034bb-57fa-8c77-28d483328041"));
}

TEST(Ids, WorkerNames) {
    EXPECT_TRUE(is_worker_name("dev-1.a_b"));
    EXPECT_TRUE(is_worker_name(std::string(63, 'a')));
    for (auto bad : {"", "-a", "A", "a/b", "a b", "../x"}) EXPECT_FALSE(is_worker_name(bad)) << bad;
    EXPECT_FALSE(is_worker_name(std::string(64, 'a')));
}

TEST(TimestampText, ReadsOffsetsNaiveTimesAndFractions) {
    const auto noon = parse_timestamp("2026-01-10T12:00:00.123456Z");
    ASSERT_TRUE(noon);
    EXPECT_EQ(format_timestamp(*noon), "2026-01-10T12:00:00.123456Z");
    EXPECT_EQ(parse_timestamp("2026-01-10T12:00:00.123456"), noon);
    EXPECT_EQ(parse_timestamp("2026-01-10T14:00:00.123456+02:00"), noon);
    EXPECT_EQ(parse_timestamp("2026-01-10T10:30:00.123456789-01:30"), noon);
    for (auto bad : {"", "2026-01-10", "2026-13-10T12:00:00Z", "2026-02-30T12:00:00Z", "2026-01-10T12:00:00.Z",
                     "2026-01-10T12:00:00+1:00", "2026-01-10T24:00:00Z", "yesterday"})
        EXPECT_FALSE(parse_timestamp(bad)) << bad;
}

TEST(Retry, FollowsTheCategory) {
    const RetryPolicy policy([] { return 0.5; });  // no jitter
    EXPECT_EQ(policy.next(ErrorCategory::transient, 0), 1s);
    EXPECT_EQ(policy.next(ErrorCategory::transient, 2), 4s);
    EXPECT_EQ(policy.next(ErrorCategory::transient, 3), std::nullopt);
    EXPECT_EQ(policy.next(ErrorCategory::upstream, 0), 5s);
    EXPECT_EQ(policy.next(ErrorCategory::upstream, 1, 7s), 7s);
    EXPECT_EQ(policy.next(ErrorCategory::upstream, 5), std::nullopt);
    EXPECT_EQ(policy.next(ErrorCategory::permanent, 0), std::nullopt);
    const RetryPolicy early([] { return 0.0; });
    EXPECT_EQ(early.next(ErrorCategory::transient, 0), 900ms);
}

TEST(Errors, ContextAndFields) {
    EXPECT_EQ(in_context({ErrorCategory::transient, "timeout", "no answer", {}}, "create worker a").message,
              "create worker a: no answer");
    const auto e = invalid({{"a.b", "expected string"}, {"c", "missing"}});
    EXPECT_EQ(e.message, "a.b: expected string; c: missing");
    EXPECT_EQ(e.path, "a.b");
}

}  // namespace
}  // namespace codegen
