#include "services/worker-manager/core/image_retention.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace codegen::worker_manager {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Timestamp kNow = from_micros(1'800'000'000'000'000);
constexpr hours kWeek{24 * 7};

TEST(ImageRetention, TakesWhatNobodyUsedForLongTheLongestUnusedFirst) {
    const std::vector<ImageUse> images{{"fresh", kNow - hours(1), false},
                                       {"week", kNow - kWeek, false},
                                       {"running", kNow - 2 * kWeek, true},
                                       {"month", kNow - 4 * kWeek, false}};
    EXPECT_THAT(removable_images(images, kNow, kWeek), ElementsAre("month", "week"));
    EXPECT_THAT(removable_images(images, kNow - minutes(1), kWeek), ElementsAre("month"));
    EXPECT_THAT(removable_images(images, kNow, hours(0)), ElementsAre("month", "week", "fresh"));
    EXPECT_THAT(removable_images({}, kNow, hours(0)), IsEmpty());
}

TEST(ImageRetention, AUseInTheFutureCountsAsNow) {
    const std::vector<ImageUse> images{{"future", kNow + kWeek, false}};
    EXPECT_THAT(removable_images(images, kNow, hours(1)), IsEmpty());
    EXPECT_THAT(removable_images(images, kNow, hours(0)), ElementsAre("future"));
}

TEST(CleanupSchedule, IsDueAWhileAfterTheStartAndThenOnceAPeriod) {
    CleanupSchedule schedule(minutes(10), hours(24));
    EXPECT_FALSE(schedule.due(kNow));
    EXPECT_FALSE(schedule.due(kNow + minutes(9)));
    EXPECT_TRUE(schedule.due(kNow + minutes(10)));
    EXPECT_TRUE(schedule.due(kNow + minutes(11))) << "until it was done";
    schedule.done(kNow + minutes(11));
    EXPECT_FALSE(schedule.due(kNow + hours(24)));
    EXPECT_TRUE(schedule.due(kNow + hours(24) + minutes(11)));
    schedule.failed(kNow + hours(25));
    EXPECT_FALSE(schedule.due(kNow + hours(25) + minutes(9)));
    EXPECT_TRUE(schedule.due(kNow + hours(25) + minutes(10))) << "sooner than a period";
}

TEST(CleanupSchedule, AClockThatIsSetBackDelaysItByAPeriodAtMost) {
    CleanupSchedule schedule(minutes(10), hours(24));
    EXPECT_FALSE(schedule.due(kNow));
    schedule.done(kNow);
    EXPECT_FALSE(schedule.due(kNow - 52 * kWeek));
    EXPECT_TRUE(schedule.due(kNow - 52 * kWeek + hours(24)));
}

}  // namespace
}  // namespace codegen::worker_manager
