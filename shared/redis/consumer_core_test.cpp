#include "shared/redis/consumer_core.hpp"

#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <random>

namespace codegen::redis {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::Pair;
using Kind = Verdict::Kind;

const Error kTransient{ErrorCategory::transient, "timeout", "t", {}};
const Error kUpstream{ErrorCategory::upstream, "limit", "u", {}};
const Error kPermanent{ErrorCategory::permanent, "invalid", "p", {}};
const Error kFatal{ErrorCategory::fatal, "no_database", "f", {}};

RetryPolicy without_jitter() {
    return RetryPolicy([] { return 0.5; });
}

class CoreTest : public ::testing::Test {
  protected:
    std::vector<std::string> start() {
        std::vector<std::string> ids;
        for (const auto& s : core_.start(now_)) ids.push_back(s.id);
        return ids;
    }
    SteadyTime now_{};
    ConsumerCore core_{{.concurrency = 2, .in_hand = 4, .deaths = 3}, without_jitter()};
};

TEST_F(CoreTest, RunsAtMostItsConcurrencyAndReadsOnlyWhatItCanRun) {
    EXPECT_EQ(core_.room(), 2u);
    EXPECT_TRUE(core_.on_new("1-0"));
    EXPECT_TRUE(core_.on_new("2-0"));
    EXPECT_EQ(core_.room(), 0u);
    EXPECT_TRUE(core_.on_new("3-0"));
    EXPECT_THAT(start(), ElementsAre("1-0", "2-0"));
    EXPECT_EQ(core_.on_handled("1-0", nullptr, now_).kind, Kind::acknowledge);
    EXPECT_THAT(start(), ElementsAre("3-0"));
    core_.on_settled("1-0");
    EXPECT_FALSE(core_.holds("1-0"));
    EXPECT_EQ(core_.running(), 2u);
}

TEST_F(CoreTest, WhatIsInHandIsNotTakenTwice) {
    EXPECT_TRUE(core_.on_new("1-0"));
    EXPECT_FALSE(core_.on_new("1-0"));
    EXPECT_FALSE(core_.on_found("1-0", 2));
    EXPECT_THAT(start(), ElementsAre("1-0"));
    EXPECT_FALSE(core_.on_new("1-0"));
}

TEST_F(CoreTest, TransientErrorsAreRetriedThreeTimes) {
    core_.on_new("1-0");
    for (const auto wait : {1000ms, 2000ms, 4000ms}) {
        ASSERT_THAT(start(), ElementsAre("1-0"));
        const auto verdict = core_.on_handled("1-0", &kTransient, now_);
        EXPECT_EQ(verdict.kind, Kind::retry);
        EXPECT_EQ(verdict.wait, wait);
        EXPECT_EQ(core_.next_wake(), now_ + wait);
        now_ += wait - 1ms;
        EXPECT_THAT(start(), ElementsAre());
        now_ += 1ms;
    }
    const auto started = core_.start(now_);
    ASSERT_EQ(started.size(), 1u);
    EXPECT_EQ(started[0].attempt, 4);
    const auto verdict = core_.on_handled("1-0", &kTransient, now_);
    EXPECT_EQ(verdict.kind, Kind::dead_letter);
    EXPECT_EQ(verdict.attempts, 4);
}

TEST_F(CoreTest, UpstreamErrorsAreRetriedFiveTimes) {
    core_.on_new("1-0");
    for (const auto wait : {5s, 10s, 20s, 60s, 60s}) {
        ASSERT_THAT(start(), ElementsAre("1-0"));
        EXPECT_EQ(core_.on_handled("1-0", &kUpstream, now_).wait, wait);
        now_ += wait;
    }
    ASSERT_THAT(start(), ElementsAre("1-0"));
    EXPECT_EQ(core_.on_handled("1-0", &kUpstream, now_).kind, Kind::dead_letter);
}

TEST_F(CoreTest, WhatTheOtherSideAskedForIsWaited) {
    core_.on_new("1-0");
    start();
    Error limited = kUpstream;
    limited.retry_after = 37s;
    EXPECT_EQ(core_.on_handled("1-0", &limited, now_).wait, 37s);
    now_ += 37s;
    EXPECT_THAT(start(), ElementsAre("1-0"));
    EXPECT_EQ(core_.on_handled("1-0", &kUpstream, now_).wait, 10s) << "this time nothing was asked for";
}

TEST_F(CoreTest, PermanentIsADeadLetterAtOnceAndFatalStops) {
    core_.on_new("1-0");
    core_.on_new("2-0");
    start();
    const auto verdict = core_.on_handled("1-0", &kPermanent, now_);
    EXPECT_EQ(verdict.kind, Kind::dead_letter);
    EXPECT_EQ(verdict.attempts, 1);
    EXPECT_EQ(core_.on_handled("2-0", &kFatal, now_).kind, Kind::stop);
    EXPECT_THAT(core_.unfinished(), ElementsAre(Pair("2-0", 0))) << "stays pending, not counted as a death";
}

TEST_F(CoreTest, RetriesHoldNoRunningPlaceButBoundWhatIsInHand) {
    for (const auto* id : {"1-0", "2-0", "3-0", "4-0"}) {
        ASSERT_GT(core_.room(), 0u) << id;
        core_.on_new(id);
        start();
        core_.on_handled(id, &kTransient, now_);
    }
    EXPECT_EQ(core_.running(), 0u);
    EXPECT_EQ(core_.room(), 0u) << "four in hand";
    now_ += 1s;
    EXPECT_EQ(start().size(), 2u);
}

TEST_F(CoreTest, SuspectsRunOneAtATimeBesideOthers) {
    EXPECT_TRUE(core_.on_found("1-0", 1));
    EXPECT_TRUE(core_.on_found("2-0", 2));
    core_.on_new("3-0");
    auto started = core_.start(now_);
    ASSERT_EQ(started.size(), 2u);
    EXPECT_EQ(started[0].id, "1-0");
    EXPECT_TRUE(started[0].fetch);
    EXPECT_EQ(started[0].deaths, 1);
    EXPECT_EQ(started[1].id, "3-0");
    EXPECT_FALSE(started[1].fetch);
    core_.on_handled("3-0", nullptr, now_);
    EXPECT_THAT(start(), ElementsAre()) << "the second suspect waits, and is not counted meanwhile";
    EXPECT_THAT(core_.taken(), ElementsAre("1-0", "3-0"));
    core_.on_handled("1-0", nullptr, now_);
    EXPECT_THAT(start(), ElementsAre("2-0"));
}

TEST_F(CoreTest, ThreeDeathsAreADeadLetter) {
    core_.on_found("1-0", 3);
    auto started = core_.start(now_);
    ASSERT_EQ(started.size(), 1u);
    EXPECT_TRUE(started[0].dead_letter);
    core_.on_condemned("1-0");
    EXPECT_EQ(core_.running(), 0u);
    core_.on_settled("1-0");
    EXPECT_EQ(core_.size(), 0u);
}

TEST_F(CoreTest, AFoundEntryThatIsGoneIsForgotten) {
    core_.on_found("1-0", 1);
    core_.on_found("2-0", 0);
    EXPECT_EQ(start().size(), 2u);
    core_.on_vanished("1-0");
    core_.on_vanished("2-0");
    EXPECT_EQ(core_.size(), 0u);
    EXPECT_EQ(core_.room(), 2u);
    EXPECT_TRUE(core_.on_found("1-0", 1)) << "a later look may find it again";
    EXPECT_THAT(start(), ElementsAre("1-0"));
}

TEST_F(CoreTest, TheDeadLetterNamesEverything) {
    const std::string original("not { json \xff\0", 13);
    const auto letter = make_dead_letter(original, {.error = "config.name: missing",
                                                    .category = ErrorCategory::permanent,
                                                    .timestamp = "2026-01-10T12:00:00Z",
                                                    .service = "workflow",
                                                    .attempts = 2,
                                                    .stream = "s",
                                                    .entry_id = "1-0"});
    EXPECT_EQ(letter.original_message, original);
    const auto context = boost::json::parse(letter.error_context).as_object();
    EXPECT_EQ(context.at("error"), "config.name: missing");
    EXPECT_EQ(context.at("category"), "permanent");
    EXPECT_EQ(context.at("timestamp"), "2026-01-10T12:00:00Z");
    EXPECT_EQ(context.at("service"), "workflow");
    EXPECT_EQ(context.at("attempts"), 2);
    EXPECT_EQ(context.at("stream"), "s");
    EXPECT_EQ(context.at("entry_id"), "1-0");
}

TEST_F(CoreTest, OneLogLineASecond) {
    OncePerSecond may;
    EXPECT_TRUE(may(now_));
    EXPECT_FALSE(may(now_ + 999ms));
    EXPECT_TRUE(may(now_ + 1000ms));
    EXPECT_FALSE(may(now_ + 1500ms));
}

// A model of Redis' pending list around the core: random deliveries, ends, lost entries, crashes (a new core) and
// graceful stops. In the end every entry was acknowledged or dead-lettered exactly once, and one is condemned exactly
// when three processes died with it in hand.
class World {
  public:
    explicit World(unsigned seed) : random_(seed) {
        for (int i = 0; i < 30; ++i) {
            Entry entry;
            const auto kind = random_() % 10;
            entry.poison = kind == 0;
            entry.permanent = kind == 1;
            entry.flaky = kind == 2 ? static_cast<int>(random_() % 6) : 0;
            entries_.emplace(std::to_string(100 + i) + "-0", entry);
        }
    }

    void run() {
        restart();
        for (int step = 0; step < 20000 && settled_ < entries_.size(); ++step) turn();
        ASSERT_EQ(settled_, entries_.size()) << "something is stuck";
        for (const auto& [id, entry] : entries_) {
            if (entry.condemned) {
                EXPECT_GE(entry.kills, 3) << id << " was condemned innocently";
            }
            if (entry.poison) {
                EXPECT_TRUE(entry.condemned) << id;
                EXPECT_GE(entry.kills, 3) << id;
            }
            EXPECT_LE(entry.attempts, 4 * 4) << id;
        }
    }

  private:
    struct Entry {
        bool poison = false, permanent = false;
        int flaky = 0;  // fails that often in one life of the process
        bool delivered = false, settled = false, condemned = false;
        int count = 0;  // Redis' delivery counter
        int kills = 0, attempts = 0;
    };

    void restart() {
        core_.emplace(CoreOptions{.concurrency = 3, .in_hand = 8, .deaths = 3}, without_jitter());
        running_.clear();
        settling_.clear();
        lost_.clear();
        failures_.clear();
        for (auto& [id, entry] : entries_)
            if (entry.delivered && !entry.settled) core_->on_found(id, entry.count);
    }

    // A process that dies is one whose poison was run; only then, so that the model knows who is guilty.
    void turn() {
        now_ += std::chrono::milliseconds(random_() % 700);
        switch (random_() % 4) {
            case 0: {
                auto room = core_->room();
                for (auto& [id, entry] : entries_) {
                    if (room == 0) break;
                    if (entry.delivered) continue;
                    entry.delivered = true;
                    entry.count = 1;
                    ASSERT_TRUE(core_->on_new(id));
                    --room;
                }
                break;
            }
            case 1:
                for (const auto& start : core_->start(now_)) {
                    Entry& entry = entries_.at(start.id);
                    ASSERT_FALSE(entry.settled);
                    if (start.fetch && random_() % 8 == 0) {  // the connection broke
                        core_->on_vanished(start.id);
                        lost_.insert(start.id);
                        continue;
                    }
                    if (start.fetch) entry.count = start.deaths + 1;
                    if (start.dead_letter) {
                        core_->on_condemned(start.id);
                        entry.condemned = true;
                        settling_.insert(start.id);
                        continue;
                    }
                    ++entry.attempts;
                    running_.insert(start.id);
                }
                ASSERT_LE(core_->running(), 3u);
                break;
            case 2:
                if (!running_.empty()) end_one();
                break;
            default:
                for (const auto& id : std::exchange(settling_, {})) {
                    core_->on_settled(id);
                    entries_.at(id).settled = true;
                    ++settled_;
                }
                for (const auto& id : std::exchange(lost_, {})) core_->on_found(id, std::max(0, entries_.at(id).count));
                if (random_() % 50 == 0) {  // a graceful stop
                    for (const auto& [id, deaths] : core_->unfinished()) entries_.at(id).count = deaths;
                    restart();
                }
        }
    }

    void end_one() {
        auto it = running_.begin();
        std::advance(it, random_() % running_.size());
        const std::string id = *it;
        Entry& entry = entries_.at(id);
        if (entry.poison) {
            // Everything that was delivered and not settled dies with it.
            for (const auto& other : core_->taken()) ++entries_.at(other).kills;
            restart();
            return;
        }
        running_.erase(it);
        const Error* error = nullptr;
        if (entry.permanent) error = &kPermanent;
        if (failures_[id]++ < entry.flaky) error = &kTransient;
        const auto verdict = core_->on_handled(id, error, now_);
        if (verdict.kind != Kind::retry) settling_.insert(id);
    }

    std::mt19937 random_;
    std::map<std::string, Entry> entries_;
    std::optional<ConsumerCore> core_;
    std::set<std::string> running_, settling_, lost_;
    std::map<std::string, int> failures_;
    std::size_t settled_ = 0;
    SteadyTime now_{};
};

TEST(CoreModel, RandomOrdersLoseNothingAndCondemnNobodyInnocent) {
    for (unsigned seed = 0; seed < 300; ++seed) {
        SCOPED_TRACE(seed);
        World(seed).run();
        if (::testing::Test::HasFailure()) return;
    }
}

}  // namespace
}  // namespace codegen::redis
