#include "services/worker-manager/core/warm_pool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace codegen::worker_manager {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

constexpr Timestamp kNow{std::chrono::microseconds(1'000'000'000)};

TEST(WarmPool, OfSizeZeroPreparesNothing) {
    WarmPool pool(0);
    pool.asked("a", kNow);
    EXPECT_EQ(pool.take("a"), std::nullopt);
    EXPECT_THAT(pool.advance(kNow, 10).make, IsEmpty());
}

TEST(WarmPool, PreparesWhatWasAskedForAndGivesTheOldestFirst) {
    WarmPool pool(2);
    pool.asked("a", kNow);
    EXPECT_EQ(pool.take("a"), std::nullopt);
    EXPECT_THAT(pool.advance(kNow, 10).make, ElementsAre("a", "a"));
    EXPECT_THAT(pool.advance(kNow, 10).make, IsEmpty()) << "both are in the making";
    pool.made("a", "s1");
    pool.made("a", "s2");
    EXPECT_EQ(pool.take("b"), std::nullopt) << "another kind";
    EXPECT_EQ(pool.take("a"), "s1");
    pool.asked("b", kNow);
    EXPECT_THAT(pool.advance(kNow, 10).make, ElementsAre("b", "b", "a"));
}

TEST(WarmPool, GivesWayWhenThereIsNoRoomTheOldestKindFirst) {
    WarmPool pool(1);
    pool.asked("old", kNow);
    pool.asked("new", kNow);
    ASSERT_THAT(pool.advance(kNow, 10).make, ElementsAre("new", "old"));
    pool.made("new", "n");
    pool.made("old", "o");
    EXPECT_THAT(pool.advance(kNow, 1).drop, ElementsAre("o"));
    const auto none = pool.advance(kNow, 0);
    EXPECT_THAT(none.drop, ElementsAre("n"));
    EXPECT_THAT(none.make, IsEmpty());
    EXPECT_EQ(pool.take("new"), std::nullopt);
}

TEST(WarmPool, ForgetsKindsThatNobodyAsksFor) {
    WarmPool pool(1);
    pool.asked("a", kNow);
    static_cast<void>(pool.advance(kNow, 10));
    pool.made("a", "s");
    EXPECT_THAT(pool.advance(kNow + WarmPool::kRemembered, 10).drop, IsEmpty());
    EXPECT_THAT(pool.advance(kNow + WarmPool::kRemembered + 1s, 10).drop, ElementsAre("s"));
    for (const auto* kind : {"b", "c", "d", "e"}) pool.asked(kind, kNow + 2h);
    EXPECT_THAT(pool.advance(kNow + 2h, 10).make, ElementsAre("e", "d", "c")) << "the last three";
}

TEST(WarmPool, OneThatIsMadeForAForgottenKindIsDropped) {
    WarmPool pool(1);
    pool.asked("a", kNow);
    ASSERT_THAT(pool.advance(kNow, 10).make, ElementsAre("a"));
    EXPECT_THAT(pool.advance(kNow + 2h, 10).drop, IsEmpty());
    EXPECT_EQ(pool.standing(), 1u) << "still in the making";
    pool.made("a", "late");
    EXPECT_THAT(pool.advance(kNow + 2h, 10).drop, ElementsAre("late"));
    EXPECT_EQ(pool.standing(), 0u);
}

TEST(WarmPool, WaitsAfterAFailureAndReplacesWhatWasLost) {
    WarmPool pool(1);
    pool.asked("a", kNow);
    static_cast<void>(pool.advance(kNow, 10));
    pool.not_made("a", kNow);
    EXPECT_THAT(pool.advance(kNow + 1s, 10).make, IsEmpty());
    EXPECT_THAT(pool.advance(kNow + WarmPool::kPauseAfterFailure, 10).make, ElementsAre("a"));
    pool.made("a", "s");
    pool.lost("s", kNow + 20s);
    EXPECT_EQ(pool.take("a"), std::nullopt);
    EXPECT_THAT(pool.advance(kNow + 21s, 10).make, IsEmpty());
    EXPECT_THAT(pool.advance(kNow + 30s, 10).make, ElementsAre("a"));
}

// Whatever happens in whatever order: never more than the room, and every slot leaves exactly once.
TEST(WarmPool, NeverStandsAboveItsRoomInAnyOrder) {
    for (unsigned seed = 0; seed < 300; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](unsigned n) { return random() % n; };
        WarmPool pool(1 + below(3));
        auto now = kNow;
        int serial = 0;
        std::vector<std::string> making;
        std::set<std::string> there;
        for (int step = 0; step < 200; ++step) {
            now += std::chrono::seconds(below(400));
            const auto index = making.empty() ? 0 : below(static_cast<unsigned>(making.size()));
            switch (below(5)) {
                case 0: {
                    const auto kind = "kind" + std::to_string(below(5));
                    if (const auto slot = pool.take(kind)) ASSERT_EQ(there.erase(*slot), 1u) << seed;
                    pool.asked(kind, now);
                    break;
                }
                case 1:
                case 2: {
                    const std::size_t room = below(6);
                    const auto in_the_making = making.size();
                    const auto moves = pool.advance(now, room);
                    for (const auto& slot : moves.drop) ASSERT_EQ(there.erase(slot), 1u) << seed;
                    making.insert(making.end(), moves.make.begin(), moves.make.end());
                    ASSERT_LE(there.size() + making.size(), std::max(room, in_the_making)) << seed;
                    break;
                }
                case 3:
                    if (making.empty()) break;
                    there.insert("s" + std::to_string(++serial));
                    pool.made(making[index], "s" + std::to_string(serial));
                    making.erase(making.begin() + index);
                    break;
                case 4:
                    if (making.empty()) break;
                    pool.not_made(making[index], now);
                    making.erase(making.begin() + index);
                    break;
            }
            ASSERT_EQ(pool.standing(), there.size() + making.size()) << seed;
        }
    }
}

}  // namespace
}  // namespace codegen::worker_manager
