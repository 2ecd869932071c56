#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "services/worker-manager/core/admission.hpp"
#include "services/worker-manager/core/claim.hpp"
#include "services/worker-manager/core/ending.hpp"
#include "services/worker-manager/core/lifecycle.hpp"
#include "services/worker-manager/core/limits.hpp"
#include "services/worker-manager/core/names.hpp"
#include "services/worker-manager/repository/bundle.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::worker_manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Timestamp kStart = from_micros(1'000'000'000);

TEST(Admission, GivesSlotsInTheOrderOfAsking) {
    Admission admission(2, seconds(10));
    for (const auto* id : {"a", "b", "c", "d"}) admission.ask(id, kStart);
    EXPECT_THAT(admission.advance(kStart).admitted, ElementsAre("a", "b"));
    EXPECT_THAT(admission.waiting(), ElementsAre("c", "d"));
    admission.ask("a", kStart);
    admission.ask("c", kStart);
    EXPECT_THAT(admission.waiting(), ElementsAre("c", "d"));
    admission.leave("a");
    EXPECT_THAT(admission.advance(kStart).admitted, ElementsAre("c"));
    admission.leave("unknown");
    EXPECT_THAT(admission.advance(kStart).admitted, IsEmpty());
}

TEST(Admission, WhoWaitsTooLongIsToldSoEvenWhenASlotComesFree) {
    Admission admission(1, seconds(10));
    admission.hold("living");
    admission.ask("a", kStart);
    admission.ask("b", kStart + seconds(5));
    EXPECT_EQ(admission.next_expiry(), kStart + seconds(10));
    admission.leave("living");
    const auto moves = admission.advance(kStart + seconds(10));
    EXPECT_THAT(moves.expired, ElementsAre("a"));
    EXPECT_THAT(moves.admitted, ElementsAre("b"));
    EXPECT_EQ(admission.next_expiry(), std::nullopt);
}

TEST(Admission, NobodyStartsBeforeItsMemoryIsThereAndNobodyOvertakes) {
    Admission admission(4, seconds(10));
    admission.ask("big", kStart, 800);
    admission.ask("small", kStart, 100);
    EXPECT_THAT(admission.advance(kStart, 700).admitted, IsEmpty());
    EXPECT_TRUE(admission.wants_memory());
    EXPECT_THAT(admission.waiting(), ElementsAre("big", "small"));
    EXPECT_THAT(admission.advance(kStart, 850).admitted, ElementsAre("big"));
    EXPECT_TRUE(admission.wants_memory());
    EXPECT_THAT(admission.advance(kStart, 850).admitted, IsEmpty()) << "big has not taken its own yet";
    admission.settled("big");
    EXPECT_THAT(admission.advance(kStart, 100).admitted, ElementsAre("small"));
    EXPECT_FALSE(admission.wants_memory());
    // One that never came to run gives back what it was promised.
    admission.leave("small");
    admission.ask("next", kStart, 100);
    EXPECT_THAT(admission.advance(kStart, 100).admitted, ElementsAre("next"));
    // A full house waits for a slot, not for memory; a host that says nothing is not waited for.
    admission.ask("more", kStart, 100);
    EXPECT_THAT(admission.advance(kStart).admitted, ElementsAre("more"));
    for (const auto* id : {"e", "f"}) admission.ask(id, kStart, 1000);
    admission.advance(kStart);
    EXPECT_EQ(admission.in_use(), 4u);
    admission.advance(kStart, 0);
    EXPECT_FALSE(admission.wants_memory());
    EXPECT_THAT(admission.advance(kStart + seconds(10), 0).expired, ElementsAre("f"));
}

TEST(Admission, NeverExceedsItsSlotsNorForgetsAnyone) {
    for (unsigned seed = 0; seed < 500; ++seed) {
        std::mt19937 random(seed);
        Admission admission(3, milliseconds(50));
        std::set<std::string> held;
        std::set<std::string> waiting;
        auto now = kStart;
        for (int i = 0; i < 100; ++i) {
            const auto id = "w" + std::to_string(random() % 8);
            if (random() % 2) {
                if (!held.contains(id)) waiting.insert(id);
                admission.ask(id, now);
            } else {
                admission.leave(id);
                held.erase(id);
                waiting.erase(id);
            }
            now += milliseconds(random() % 10);
            const auto moves = admission.advance(now);
            for (const auto& a : moves.admitted) EXPECT_TRUE(waiting.erase(a) == 1 && held.insert(a).second);
            for (const auto& e : moves.expired) EXPECT_EQ(waiting.erase(e), 1u);
            ASSERT_LE(held.size(), 3u);
            ASSERT_EQ(admission.in_use(), held.size());
            ASSERT_TRUE(held.size() == 3 || waiting.empty()) << "a free slot and somebody waits";
        }
    }
}

TEST(Lifecycle, HoldsItsRulesInAnyOrderOfEvents) {
    constexpr std::array kEvents{LifeEvent::admitted,       LifeEvent::body_started,    LifeEvent::created,
                                 LifeEvent::create_failed,  LifeEvent::wrapper_started, LifeEvent::wrapper_completed,
                                 LifeEvent::wrapper_failed, LifeEvent::wrapper_stopped, LifeEvent::body_ended,
                                 LifeEvent::deleted};
    for (unsigned seed = 0; seed < 2000; ++seed) {
        std::mt19937 random(seed);
        auto state = WorkerState::QUEUED;
        bool ended = false;
        for (int i = 0; i < 30; ++i) {
            const auto event = kEvents[random() % kEvents.size()];
            ended = ended || event == LifeEvent::body_ended;
            const auto before = state;
            state = after(state, event, !ended);
            if (before == WorkerState::STOPPED) ASSERT_EQ(state, WorkerState::STOPPED) << "deleted is final";
            if (event == LifeEvent::deleted) ASSERT_EQ(state, WorkerState::STOPPED);
            if (event == LifeEvent::body_ended && before != WorkerState::STOPPED)
                ASSERT_TRUE(state == WorkerState::FAILED || state == WorkerState::COMPLETED);
            if (ended && event == LifeEvent::wrapper_started && before != WorkerState::STOPPED)
                ASSERT_EQ(state, before) << "late words revive nobody";
            ASSERT_EQ(after(state, LifeEvent::deleted, true), WorkerState::STOPPED);
        }
    }
}

TEST(Lifecycle, TheUsualLife) {
    auto state = after(WorkerState::QUEUED, LifeEvent::admitted, false);
    EXPECT_EQ(state, WorkerState::STARTING);
    state = after(state, LifeEvent::created, true);
    EXPECT_EQ(state, WorkerState::RUNNING);
    state = after(state, LifeEvent::wrapper_completed, true);
    EXPECT_EQ(state, WorkerState::RUNNING) << "it takes the next request";
    EXPECT_EQ(after(state, LifeEvent::body_ended, false), WorkerState::FAILED);
    EXPECT_EQ(after(after(state, LifeEvent::wrapper_stopped, true), LifeEvent::body_ended, false),
              WorkerState::COMPLETED);
    EXPECT_EQ(after(WorkerState::STARTING, LifeEvent::wrapper_stopped, true), WorkerState::STARTING)
        << "an earlier body's last word";
    EXPECT_EQ(after(WorkerState::STARTING, LifeEvent::wrapper_started, true), WorkerState::STARTING)
        << "its creator was not told yet";
    EXPECT_EQ(after(WorkerState::COMPLETED, LifeEvent::wrapper_started, true), WorkerState::RUNNING)
        << "in another body";
    EXPECT_EQ(answered_status(WorkerState::PAUSED), contracts::WorkerStatus::running);
    EXPECT_EQ(answered_status(WorkerState::COMPLETED), contracts::WorkerStatus::stopped);
    EXPECT_EQ(answered_status(WorkerState::QUEUED), contracts::WorkerStatus::starting);
}

TEST(Ending, NamesTheReasonOfTheContract) {
    using contracts::FailureReason;
    EXPECT_EQ(judge_ending(137, true, 5).reason, FailureReason::out_of_memory);
    EXPECT_EQ(judge_ending(137, false, 5).reason, FailureReason::killed);
    EXPECT_EQ(judge_ending(143, false, 5).reason, FailureReason::killed);
    EXPECT_EQ(judge_ending({}, false, 5).reason, FailureReason::killed);
    EXPECT_EQ(judge_ending(0, false, 5).reason, FailureReason::killed);
    EXPECT_EQ(judge_ending({}, true, 5).reason, FailureReason::out_of_memory);
    EXPECT_EQ(judge_ending(1, true, 5).reason, FailureReason::infrastructure) << "the mark was another process's";
    EXPECT_EQ(judge_ending(143, true, 5).reason, FailureReason::killed);
    EXPECT_THAT(judge_ending(143, false, 5).error, HasSubstr("terminated"));
    EXPECT_THAT(judge_ending(137, false, 5).error, HasSubstr("signal 9"));
    EXPECT_EQ(judge_ending(255, false, 5).reason, FailureReason::killed) << "an engine that did not see it";
    EXPECT_THAT(judge_ending(255, false, 5).error, HasSubstr("255"));
    EXPECT_EQ(judge_ending(1, false, 5).reason, FailureReason::infrastructure);
    EXPECT_EQ(judge_ending(127, false, 5).reason, FailureReason::infrastructure);
}

TEST(Limits, ReadsAmountsOfMemory) {
    EXPECT_EQ(parse_memory("512m").value(), 512ll << 20);
    EXPECT_EQ(parse_memory("2g").value(), 2ll << 30);
    EXPECT_EQ(parse_memory("1.5G").value(), 3ll << 29);
    EXPECT_EQ(parse_memory("64MiB").value(), 64ll << 20);
    EXPECT_EQ(parse_memory("1048576").value(), 1 << 20);
    EXPECT_EQ(parse_memory("1024k").value(), 1 << 20);
    for (const auto* bad : {"", "m", "-1g", "0", "1t", "1 g", "nan", "inf", "1e30g", "0x10", "12mm"})
        EXPECT_FALSE(parse_memory(bad)) << bad;
}

TEST(Limits, KeepsToTheOperatorsCaps) {
    contracts::WorkerConfig config;
    const WorkerLimits defaults;
    const LimitCaps caps{.memory_bytes = 4ll << 30, .cpus = 2};
    EXPECT_EQ(worker_limits(config, defaults, caps).value().memory_bytes, defaults.memory_bytes);
    config.memory_limit = "5g";
    EXPECT_THAT(worker_limits(config, defaults, caps).error().message, HasSubstr("4294967296"));
    config.memory_limit = "1k";
    EXPECT_FALSE(worker_limits(config, defaults, caps));
    config.memory_limit = "1g";
    config.cpu_limit = 0.5;
    EXPECT_EQ(worker_limits(config, defaults, caps).value().cpus, 0.5);
    config.pids_limit = 5000;
    EXPECT_THAT(worker_limits(config, defaults, caps).error().message,
                HasSubstr("config.pids_limit: 5000 processes, allowed are 16 to 4096"));
    config.pids_limit = 15;
    EXPECT_FALSE(worker_limits(config, defaults, caps));
    config.pids_limit = 4096;
    EXPECT_EQ(worker_limits(config, defaults, caps).value().processes, 4096);
    for (const double cpus : {0.0, -1.0, 3.0, std::numeric_limits<double>::quiet_NaN()}) {
        config.cpu_limit = cpus;
        EXPECT_FALSE(worker_limits(config, defaults, caps)) << cpus;
    }
}

TEST(Limits, ADefaultBeyondItsCapIsNamed) {
    EXPECT_TRUE(check_limits({}, {}));
    EXPECT_THAT(check_limits({.memory_bytes = 9ll << 30}, {}).error().message, HasSubstr("WORKER_MEMORY_LIMIT is"));
    EXPECT_THAT(check_limits({.cpus = 3}, {.cpus = 2}).error().message, HasSubstr("(WORKER_CPU_CAP)"));
    EXPECT_EQ(check_limits({.processes = 8}, {}).error().message,
              "WORKER_PIDS_LIMIT is 8: expected 16 to 4096 (WORKER_PIDS_CAP)");
}

TEST(Claim, IsAmongTheNewCommitsOrNot) {
    const auto judged = [](bool exists, bool in_head, bool in_base) {
        auto result = judge_claimed_commit("abc", {exists, in_head, in_base});
        return result ? "" : result.error().code;
    };
    EXPECT_EQ(judged(true, true, false), "");
    EXPECT_EQ(judged(false, false, false), "commit_missing");
    EXPECT_EQ(judged(true, false, false), "commit_missing");
    EXPECT_EQ(judged(true, true, true), "no_commit");
    EXPECT_TRUE(is_claimable("0123abcdef"));
    for (const auto* bad : {"", "abc", "HEAD", "--all", "0123456^", "zzzzzzz"}) EXPECT_FALSE(is_claimable(bad)) << bad;
}

TEST(Names, BranchesAndRefs) {
    EXPECT_TRUE(check_branch("task/1b4e28ba-2fa1-11d2-883f-0016d3cca427", "branch"));
    for (const auto* bad : {"main", "task/", "task/a b", "task/a..b", "task/a/b", "task/.a", "task/a.lock", "/task/a",
                            "task/a@{0}", "task/a:b", "task/*", "refs/heads/task/a"})
        EXPECT_FALSE(check_branch(bad, "branch")) << bad;
    for (const auto* good : {"main", "v1.2", "feature/x", "0123456789abcdef0123456789abcdef01234567"})
        EXPECT_TRUE(check_base_ref(good, "r")) << good;
    for (const auto* bad :
         {"", "-x", "--upload-pack=x", "a..b", "a b", "a:b", "a^", "a~1", "@{-1}", "a\n", "/a", "a/", "a//b"})
        EXPECT_FALSE(check_base_ref(bad, "r")) << bad;
    EXPECT_TRUE(check_worker_id("dev-1b4e28ba-1", "worker_id"));
    for (const auto* bad : {"", "A", "../x", "a/b", "developer", "po", "status", "x\n"})
        EXPECT_FALSE(check_worker_id(bad, "worker_id")) << bad;
}

TEST(Names, ImagesAreNamedAsTheEngineNamesThem) {
    const std::string digest = "sha256:" + std::string(64, 'a');
    for (const auto& good : {std::string("debian"), std::string("debian:bookworm-slim"), std::string("library/debian"),
                             std::string("localhost:5000/a/b_c/d-e:1.0_x"), std::string("ghcr.io/Acme/x"),
                             std::string("a__b/c--d"), "debian@" + digest, "debian:12@" + digest, digest})
        EXPECT_EQ(check_image_reference(good, "config.image").has_value(), good != "ghcr.io/Acme/x") << good;
    for (const auto& bad :
         {std::string(""), std::string("-x"), std::string("Debian"), std::string("a b"), std::string("a:"),
          std::string("a:b:c"), std::string("a/../b"), std::string("/a"), std::string("a/"), std::string("a?x=1"),
          std::string("a#b"), std::string("a\n"), std::string("http://x/y"), std::string("a%2fb"), std::string("a:-x"),
          std::string("a@sha256:12"), std::string(500, 'a')})
        EXPECT_FALSE(check_image_reference(bad, "config.image")) << bad;
    EXPECT_THAT(check_image_reference("a b", "config.image").error().message,
                HasSubstr("config.image: \"a b\" is not the name of an image"));
}

TEST(Names, RepositoriesAreBelowTheirFolder) {
    testing::TempDirectory directory;
    const auto root = directory / "repositories";
    std::filesystem::create_directories(root / "a.git");
    std::filesystem::create_directories(directory / "outside.git");
    std::filesystem::create_symlink(directory / "outside.git", root / "link.git");
    EXPECT_TRUE(local_repository(root, (root / "a.git").string()));
    EXPECT_TRUE(local_repository(root, "file://" + (root / "a.git").string()));
    EXPECT_TRUE(local_repository(root, "a.git"));
    for (const auto& bad : {(directory / "outside.git").string(), std::string("../outside.git"),
                            (root / "link.git").string(), root.string(), std::string(""), std::string("none.git"),
                            std::string("https://github.com/x/y"), std::string("ext::sh -c x"), std::string("/etc")})
        EXPECT_FALSE(local_repository(root, bad)) << bad;
}

TEST(Bundle, ReadsItsHead) {
    const std::string sha(40, 'a');
    const std::string pack = std::string("PACK\0\0\0\2\0\0\0\7", 12) + "...";
    const auto head = read_bundle_head("# v2 git bundle\n-" + sha + " base\n" + sha + " refs/heads/x\n\n" + pack);
    ASSERT_TRUE(head) << head.error().message;
    EXPECT_THAT(head->prerequisites, ElementsAre(sha));
    EXPECT_EQ(head->tips.at(0).second, "refs/heads/x");
    EXPECT_EQ(head->objects, 7u);
    EXPECT_TRUE(read_bundle_head("# v3 git bundle\n@object-format=sha1\n" + sha + " r\n\n" + pack));
    for (const auto& bad : {std::string(), std::string("# v2 git bundle\n"), "# v2 git bundle\nxyz\n\n" + pack,
                            "# v3 git bundle\n@filter=blob:none\n" + sha + " r\n\n" + pack,
                            "# v2 git bundle\n" + sha + " r\n\nJUNK", "# v2 git bundle\n" + sha + " r\n\nPACK"}) {
        const auto read = read_bundle_head(bad);
        ASSERT_FALSE(read) << bad;
        EXPECT_EQ(read.error().code, "commit_rejected");
    }
}

}  // namespace
}  // namespace codegen::worker_manager
