#include "services/worker-manager/core/idleness.hpp"

#include <gtest/gtest.h>

namespace codegen::worker_manager {
namespace {

using redis::Reply;
using std::chrono::minutes;
using enum WorkerState;

TEST(Idleness, WhoIsSpokenToStaysAwake) {
    const auto now = system_now();
    const IdleLimits limits;
    EXPECT_EQ(idle_move(RUNNING, now - minutes(9), now, limits), IdleMove::stay);
    EXPECT_EQ(idle_move(RUNNING, now - minutes(10), now, limits), IdleMove::pause);
    EXPECT_EQ(idle_move(PAUSED, now - minutes(29), now, limits), IdleMove::stay);
    EXPECT_EQ(idle_move(PAUSED, now - minutes(30), now, limits), IdleMove::remove);
    EXPECT_EQ(idle_move(RUNNING, now - minutes(31), now, limits), IdleMove::remove) << "it could not be paused";
    for (const auto state : {QUEUED, STARTING, FAILED, COMPLETED, STOPPED})
        EXPECT_EQ(idle_move(state, now - minutes(99), now, limits), IdleMove::stay);
    EXPECT_EQ(idle_move(RUNNING, now - minutes(99), now, {minutes(0), minutes(0)}), IdleMove::stay) << "0: never";
}

TEST(Idleness, LateWordsOfTheWrapperDoNotWakeARow) {
    EXPECT_EQ(after(RUNNING, LifeEvent::paused, true), PAUSED);
    EXPECT_EQ(after(PAUSED, LifeEvent::wrapper_started, true), PAUSED);
    EXPECT_EQ(after(PAUSED, LifeEvent::wrapper_completed, true), PAUSED);
    EXPECT_EQ(after(PAUSED, LifeEvent::resumed, true), RUNNING);
    EXPECT_EQ(after(FAILED, LifeEvent::paused, true), FAILED);
    EXPECT_EQ(after(FAILED, LifeEvent::resumed, true), FAILED);
    EXPECT_EQ(after(PAUSED, LifeEvent::body_ended, false), FAILED);
    EXPECT_EQ(after(PAUSED, LifeEvent::deleted, false), STOPPED);
}

Reply reply(Reply::Type type, std::string value = {}, std::int64_t integer = 0, std::vector<Reply> elements = {}) {
    Reply out;
    out.type = type;
    out.text = std::move(value);
    out.integer = integer;
    out.elements = std::move(elements);
    return out;
}
Reply text(std::string value) { return reply(Reply::Type::string, std::move(value)); }
Reply number(std::int64_t value) { return reply(Reply::Type::integer, {}, value); }
Reply list(std::vector<Reply> elements) { return reply(Reply::Type::array, {}, 0, std::move(elements)); }
Reply stream(std::int64_t length, std::string last) {
    return list({text("length"), number(length), text("last-generated-id"), text(std::move(last))});
}
Reply group(std::int64_t pending, std::string delivered) {
    return list(
        {list({text("name"), text("other"), text("pending"), number(9), text("last-delivered-id"), text("0-0")}),
         list({text("name"), text("g"), text("pending"), number(pending), text("last-delivered-id"),
               text(std::move(delivered))})});
}

TEST(Idleness, AnInputIsSettledWhenAllOfItWasDeliveredAndAcknowledged) {
    EXPECT_TRUE(input_state(stream(2, "7-0"), group(0, "7-0"), "g")->settled);
    EXPECT_EQ(input_state(stream(2, "7-0"), group(0, "7-0"), "g")->last_id, "7-0");
    EXPECT_FALSE(input_state(stream(2, "7-0"), group(1, "7-0"), "g")->settled) << "in flight";
    EXPECT_FALSE(input_state(stream(2, "7-0"), group(0, "6-0"), "g")->settled) << "unread";
    EXPECT_FALSE(input_state(stream(2, "7-0"), list({}), "g")->settled) << "nobody reads it";
    EXPECT_TRUE(input_state(stream(0, "0-0"), list({}), "g")->settled);
    const auto none = reply(Reply::Type::error, "ERR no such key");
    EXPECT_TRUE(input_state(none, none, "g")->settled);
    const auto denied = reply(Reply::Type::error, "NOPERM this user has no permissions");
    EXPECT_FALSE(input_state(denied, denied, "g"));
}

}  // namespace
}  // namespace codegen::worker_manager
