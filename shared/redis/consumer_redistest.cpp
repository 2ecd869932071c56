#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <fstream>

#include "shared/redis/consumer.hpp"
#include "shared/redis/data_loss.hpp"
#include "shared/redis/streams.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_redis.hpp"

namespace codegen::redis {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ConsumerTest : public ::testing::Test {
  protected:
    struct Running {
        std::unique_ptr<Consumer> consumer;
        asio::cancellation_signal cancel;
        std::optional<Result<void>> result;
    };
    using Handler = std::function<Result<void>(const Delivery&)>;

    ConsumerOptions options(std::string name = "c1") {
        ConsumerOptions o{.stream = "s", .group = "g", .consumer = std::move(name), .service = "tester"};
        o.block = 100ms;
        o.claim_idle = 300ms;
        o.claim_interval = 50ms;
        return o;
    }
    std::shared_ptr<Running> run_consumer(ConsumerOptions o, DeliveryHandler handler) {
        auto running = std::make_shared<Running>();
        running->consumer =
            std::make_unique<Consumer>(io_.get_executor(), redis_.address(), std::move(o), std::move(handler));
        asio::co_spawn(
            io_, running->consumer->run(),
            asio::bind_cancellation_slot(running->cancel.slot(), [running](std::exception_ptr e, Result<void> result) {
                EXPECT_FALSE(e);
                running->result = std::move(result);
            }));
        return running;
    }
    // A handler that ends at once.
    DeliveryHandler at_once(Handler handler) {
        return [handler = std::move(handler)](Delivery delivery) {
            return [](Handler h, Delivery d) -> Task<Result<void>> { co_return h(d); }(handler, std::move(delivery));
        };
    }
    DeliveryHandler record() {
        return at_once([this](const Delivery& delivery) {
            handled_.push_back(delivery.data);
            return Result<void>();
        });
    }
    // A handler that never ends until it is cancelled or told.
    DeliveryHandler blocked() {
        return [this](Delivery delivery) {
            return [](ConsumerTest* self, Delivery d) -> Task<Result<void>> {
                self->handled_.push_back(d.data);
                asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
                self->gates_.push_back(&never);
                co_await never.async_wait(async::use_tuple);
                std::erase(self->gates_, &never);
                co_return Result<void>();
            }(this, std::move(delivery));
        };
    }
    bool eventually(const std::function<bool()>& condition, std::chrono::seconds limit = 15s) {
        const auto until = std::chrono::steady_clock::now() + limit;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > until) return false;
            io_.restart();
            io_.run_for(2ms);
        }
        return true;
    }
    std::string add(std::string data, std::string stream = "s") {
        return redis_.command({"XADD", stream, "*", "data", data}).text;
    }
    std::int64_t pending() { return redis_.command({"XPENDING", "s", "g"}).elements.at(0).integer; }
    std::vector<StreamEntry> dead_letters() {
        return parse_entries(redis_.command({"XRANGE", "s:dlq", "-", "+"}), "s:dlq");
    }
    void stop(Running& running) {
        running.consumer->stop();
        EXPECT_TRUE(eventually([&] { return running.result.has_value(); }));
    }
    // As if the process had died: whatever its handlers were doing, nothing is given back.
    void abandon(std::string consumer) {
        Client client(io_.get_executor(), redis_.address());
        EXPECT_TRUE(testing::run(io_, make_group(client, {"s", "g", consumer})));
        redis_.command({"XREADGROUP", "GROUP", "g", std::move(consumer), "COUNT", "100", "STREAMS", "s", ">"});
    }

    asio::io_context io_;
    testing::TempRedis redis_{io_};
    std::vector<std::string> handled_;
    std::vector<asio::steady_timer*> gates_;
};

// Who wants to know whether a role runs looks at its consumer: also one that gets nothing is seen.
TEST_F(ConsumerTest, IsSeenAtItsStreamAlsoWhenItGetsNothing) {
    Client client(io_.get_executor(), redis_.address());
    const auto last = [&] { return testing::run(io_, last_consumer(client, "s", "g")).value(); };
    EXPECT_FALSE(last());
    auto settings = options();
    settings.claim_interval = 200ms;
    auto running = run_consumer(settings, record());
    ASSERT_TRUE(eventually([&] { return last().has_value(); }));
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(eventually([&] { return last() >= 50ms; }));
        EXPECT_TRUE(eventually([&] { return last() < 50ms; })) << "it shows itself again";
    }
    stop(*running);
    ASSERT_TRUE(eventually([&] { return last() > 400ms; })) << "and no more";
}

// Showing itself is no delivery.
TEST_F(ConsumerTest, ShowingItselfCountsNothing) {
    add("x");
    abandon("c");
    Client client(io_.get_executor(), redis_.address());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(testing::run(io_, show_presence(client, {"s", "g", "c"})));
    EXPECT_EQ(redis_.command({"XPENDING", "s", "g", "-", "+", "1"}).elements.at(0).elements.at(3).integer, 1);
}

TEST_F(ConsumerTest, HandlesWhatWasThereBeforeAndWhatComes) {
    add("before");
    auto running = run_consumer(options(), record());
    ASSERT_TRUE(eventually([&] { return handled_.size() == 1; }));
    add("after");
    ASSERT_TRUE(eventually([&] { return handled_.size() == 2; }));
    EXPECT_THAT(handled_, ElementsAre("before", "after"));
    ASSERT_TRUE(eventually([&] { return pending() == 0; }));
    stop(*running);
    EXPECT_TRUE(*running->result);
    EXPECT_THAT(dead_letters(), IsEmpty());
}

TEST_F(ConsumerTest, AnEntryWithoutDataIsItsFields) {
    redis_.command({"XADD", "s", "*", "task_id", "7", "text", "a\"b", "traceparent", "00-x"});
    std::string trace;
    auto running = run_consumer(options(), at_once([&](const Delivery& delivery) {
                                    trace = delivery.traceparent;
                                    handled_.push_back(delivery.data);
                                    return Result<void>();
                                }));
    ASSERT_TRUE(eventually([&] { return handled_.size() == 1; }));
    const auto data = boost::json::parse(handled_[0]).as_object();
    EXPECT_EQ(data.at("task_id"), "7");
    EXPECT_EQ(data.at("text"), "a\"b");
    EXPECT_EQ(trace, "00-x");
    stop(*running);
}

TEST_F(ConsumerTest, AMalformedMessageIsADeadLetterWithItsBytesAndTheNextIsHandled) {
    const std::string bytes("{\"config\": {\"x\" \xff\0 nope", 23);
    add(bytes);
    add("good");
    auto running = run_consumer(options(), at_once([&](const Delivery& delivery) -> Result<void> {
                                    if (delivery.data != "good") {
                                        return std::unexpected(invalid({{"config.capabilities[2]", "unknown value"}}));
                                    }
                                    handled_.push_back(delivery.data);
                                    return {};
                                }));
    ASSERT_TRUE(eventually([&] { return handled_.size() == 1 && !dead_letters().empty() && pending() == 0; }));
    const auto letters = dead_letters();
    ASSERT_THAT(letters, SizeIs(1));
    EXPECT_EQ(*letters[0].field("original_message"), bytes);
    const auto context = boost::json::parse(*letters[0].field("error_context")).as_object();
    EXPECT_THAT(std::string(context.at("error").as_string()), HasSubstr("config.capabilities[2]"));
    EXPECT_EQ(context.at("category"), "permanent");
    EXPECT_EQ(context.at("service"), "tester");
    EXPECT_EQ(context.at("attempts"), 1);
    EXPECT_EQ(context.at("stream"), "s");
    EXPECT_TRUE(context.contains("timestamp"));
    stop(*running);
}

TEST_F(ConsumerTest, ATransientErrorIsRetriedWithBackoffWhileItStaysPending) {
    add("m");
    add("other");
    std::vector<std::chrono::steady_clock::time_point> times;
    std::vector<int> attempts;
    auto o = options();
    o.policy = RetryPolicy([] { return 0.5; });
    auto running = run_consumer(std::move(o), at_once([&](const Delivery& delivery) -> Result<void> {
                                    handled_.push_back(delivery.data);
                                    if (delivery.data == "other") return {};
                                    times.push_back(std::chrono::steady_clock::now());
                                    attempts.push_back(delivery.attempt);
                                    if (times.size() < 3) return fail(ErrorCategory::transient, "timeout", "later");
                                    return {};
                                }));
    ASSERT_TRUE(eventually([&] { return handled_.size() == 2; }));
    EXPECT_EQ(pending(), 1);
    ASSERT_TRUE(eventually([&] { return times.size() == 3; }));
    EXPECT_THAT(attempts, ElementsAre(1, 2, 3));
    EXPECT_THAT(times[1] - times[0], AllOf(::testing::Ge(1000ms), ::testing::Lt(1500ms)));
    EXPECT_THAT(times[2] - times[1], AllOf(::testing::Ge(2000ms), ::testing::Lt(2500ms)));
    ASSERT_TRUE(eventually([&] { return pending() == 0; }));
    stop(*running);
}

TEST_F(ConsumerTest, AFatalErrorStopsAndLeavesTheEntryUncounted) {
    add("m");
    auto running = run_consumer(options(), at_once([&](const Delivery&) -> Result<void> {
                                    return fail(ErrorCategory::fatal, "no_database", "the database is gone");
                                }));
    ASSERT_TRUE(eventually([&] { return running->result.has_value(); }));
    ASSERT_FALSE(*running->result);
    EXPECT_EQ(running->result->error().code, "no_database");
    EXPECT_EQ(pending(), 1);
    auto next = run_consumer(options(), record());
    ASSERT_TRUE(eventually([&] { return handled_.size() == 1; })) << "own pending entries come first";
    stop(*next);
}

TEST_F(ConsumerTest, AThrowingHandlerIsADeadLetter) {
    add("m");
    auto running =
        run_consumer(options(), at_once([](const Delivery&) -> Result<void> { throw std::runtime_error("bug"); }));
    ASSERT_TRUE(eventually([&] { return dead_letters().size() == 1; }));
    EXPECT_THAT(*dead_letters()[0].field("error_context"), HasSubstr("bug"));
    stop(*running);
}

TEST_F(ConsumerTest, OwnPendingEntriesAreTakenOverAtOnce) {
    add("m1");
    add("m2");
    abandon("c1");
    add("m3");
    auto o = options();
    o.claim_idle = 60s;
    o.claim_interval = 15s;
    auto running = run_consumer(std::move(o), record());
    ASSERT_TRUE(eventually([&] { return handled_.size() == 3; }));
    EXPECT_THAT(handled_, Contains("m1"));
    EXPECT_THAT(handled_, Contains("m2"));
    ASSERT_TRUE(eventually([&] { return pending() == 0; }));
    stop(*running);
}

TEST_F(ConsumerTest, AbandonedEntriesOfOthersAreClaimedToTheLast) {
    for (int i = 0; i < 250; ++i) add(std::to_string(i));  // more than one page of XAUTOCLAIM
    abandon("dead");
    abandon("dead");
    abandon("dead");
    auto running = run_consumer(options("alive"), record());
    ASSERT_TRUE(eventually([&] { return handled_.size() == 250; }));
    ASSERT_TRUE(eventually([&] { return pending() == 0; }));
    EXPECT_EQ(std::set<std::string>(handled_.begin(), handled_.end()).size(), 250u);
    stop(*running);
}

TEST_F(ConsumerTest, WhatALivingConsumerWorksOnIsNotClaimed) {
    add("long");
    auto first = run_consumer(options("c1"), blocked());
    ASSERT_TRUE(eventually([&] { return handled_.size() == 1; }));
    auto second = run_consumer(options("c2"), record());
    const auto until = std::chrono::steady_clock::now() + 1s;  // more than three times claim_idle
    eventually([&] { return handled_.size() > 1 || std::chrono::steady_clock::now() > until; });
    EXPECT_THAT(handled_, ElementsAre("long"));
    for (auto* gate : std::vector(gates_)) gate->cancel();
    ASSERT_TRUE(eventually([&] { return pending() == 0; }));
    stop(*first);
    stop(*second);
}

TEST_F(ConsumerTest, APoisonMessageIsADeadLetterAfterThreeDeathsAndTheRestIsHandled) {
    add("poison");
    abandon("c1");  // the first death
    for (int death = 2; death <= 3; ++death) {
        const pid_t process = ::fork();
        if (process == 0) {
            asio::io_context io;
            Consumer consumer(io.get_executor(), redis_.address(), options(),
                              [](const Delivery&) -> Task<Result<void>> { ::_exit(42); });
            asio::co_spawn(io, consumer.run(), [](std::exception_ptr, const Result<void>&) {});
            io.run_for(10s);
            ::_exit(1);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(process, &status, 0), process);
        ASSERT_EQ(WEXITSTATUS(status), 42) << "it was not delivered for death " << death;
    }
    add("good");
    auto running = run_consumer(options(), record());
    ASSERT_TRUE(eventually([&] { return dead_letters().size() == 1 && handled_.size() == 1; }));
    EXPECT_THAT(handled_, ElementsAre("good"));
    EXPECT_EQ(*dead_letters()[0].field("original_message"), "poison");
    EXPECT_THAT(*dead_letters()[0].field("error_context"), HasSubstr("3 deliveries ended with the death"));
    ASSERT_TRUE(eventually([&] { return pending() == 0; }));
    stop(*running);
}

// More than fits at once: what is found later is as much a suspect, with all its deaths.
TEST_F(ConsumerTest, SuspectsBeyondTheBoundKeepTheirDeaths) {
    for (const std::string former : {"c1", "dead"}) {
        for (int i = 0; i < 20; ++i) add(former + std::to_string(i));
        abandon(former);
        for (const auto& entry : parse_entries(redis_.command({"XRANGE", "s", "-", "+"}), "s"))
            if (entry.field("data")->starts_with(former))
                redis_.command({"XCLAIM", "s", "g", former, "0", entry.id, "RETRYCOUNT", "3", "JUSTID"});
    }
    add("good");
    auto o = options("c1");
    o.most_found = 4;
    auto running = run_consumer(o, record());
    ASSERT_TRUE(eventually([&] { return pending() == 0 && dead_letters().size() >= 40; }));
    EXPECT_EQ(dead_letters().size(), 40u);
    EXPECT_THAT(handled_, ElementsAre("good"));
    stop(*running);
}

// Suspects run one at a time, so many wait for long; meanwhile an answer is lost.
TEST_F(ConsumerTest, MoreSuspectsThanTheBoundLeaveTheProcessToOthers) {
    for (int i = 0; i < 8; ++i) add(std::to_string(i));
    abandon("c1");
    auto o = options("c1");
    o.most_found = 4;
    auto running = run_consumer(o, blocked());
    ASSERT_TRUE(eventually([&] { return handled_.size() == 1; }));
    redis_.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    add("good");
    ASSERT_TRUE(eventually([&] { return handled_.size() == 2; }));
    EXPECT_EQ(handled_.back(), "good");
    ASSERT_TRUE(eventually([&] {
        for (auto* gate : std::vector(gates_)) gate->cancel();
        return handled_.size() == 9 && pending() == 0;
    }));
    EXPECT_EQ(std::set<std::string>(handled_.begin(), handled_.end()).size(), 9u);
    stop(*running);
}

TEST_F(ConsumerTest, AGracefulStopIsNotADeath) {
    add("m");
    for (int i = 0; i < 5; ++i) {
        handled_.clear();
        auto running = run_consumer(options(), blocked());
        ASSERT_TRUE(eventually([&] { return handled_.size() == 1; })) << i;
        running->cancel.emit(asio::cancellation_type::terminal);
        ASSERT_TRUE(eventually([&] { return running->result.has_value(); }));
        if (pending() == 0) add("m");  // a handler that ended well when it was cancelled
    }
    EXPECT_THAT(dead_letters(), IsEmpty());

    handled_.clear();
    for (int i = 0; i < 5; ++i) {
        // Stopped while it waits for its retry.
        int tries = 0;
        auto running = run_consumer(options(), at_once([&](const Delivery&) -> Result<void> {
                                        ++tries;
                                        return fail(ErrorCategory::upstream, "limit", "later");
                                    }));
        ASSERT_TRUE(eventually([&] { return tries >= 1; })) << i;
        stop(*running);
    }
    EXPECT_THAT(dead_letters(), IsEmpty());
    EXPECT_EQ(pending(), 1);
}

TEST_F(ConsumerTest, StopWaitsForHandlersAndAcknowledgesThem) {
    add("m");
    auto running = run_consumer(options(), blocked());
    ASSERT_TRUE(eventually([&] { return gates_.size() == 1; }));
    running->consumer->stop();
    io_.restart();
    io_.run_for(20ms);
    EXPECT_FALSE(running->result);
    gates_[0]->cancel();
    ASSERT_TRUE(eventually([&] { return running->result.has_value(); }));
    EXPECT_EQ(pending(), 0);
}

TEST_F(ConsumerTest, RunsAtMostItsConcurrency) {
    for (int i = 0; i < 20; ++i) add(std::to_string(i));
    auto o = options();
    o.concurrency = 3;
    auto running = run_consumer(std::move(o), blocked());
    ASSERT_TRUE(eventually([&] { return gates_.size() == 3; }));
    io_.restart();
    io_.run_for(50ms);
    EXPECT_EQ(gates_.size(), 3u);
    EXPECT_EQ(pending(), 3) << "what cannot run is not read";
    ASSERT_TRUE(eventually([&] {
        for (auto* gate : std::vector(gates_)) gate->cancel();
        return handled_.size() == 20 && pending() == 0;
    }));
    stop(*running);
}

TEST_F(ConsumerTest, SurvivesFlushall) {
    auto running = run_consumer(options(), record());
    for (int round = 0; round < 3; ++round) {
        add("m");
        ASSERT_TRUE(eventually([&] { return handled_.size() == static_cast<std::size_t>(round + 1); })) << round;
        redis_.command({"FLUSHALL"});
    }
    stop(*running);
}

TEST_F(ConsumerTest, SurvivesKilledServersAndLosesNothing) {
    auto running = run_consumer(options(), record());
    std::set<std::string> sent;
    for (int round = 0; round < 4; ++round) {
        // What was acknowledged is on disk; what everysec loses is the outbox' business.
        redis_.command({"CONFIG", "SET", "appendfsync", "always"});
        for (int i = 0; i < 20; ++i) {
            const auto text = std::to_string(round) + "/" + std::to_string(i);
            sent.insert(text);
            add(text);
        }
        redis_.restart();
    }
    ASSERT_TRUE(eventually([&] { return std::set<std::string>(handled_.begin(), handled_.end()) == sent; }));
    ASSERT_TRUE(eventually([&] { return pending() == 0; }));
    EXPECT_THAT(dead_letters(), IsEmpty());
    stop(*running);
}

TEST_F(ConsumerTest, SurvivesResetsAndLostAnswers) {
    auto running = run_consumer(options(), record());
    std::set<std::string> sent;
    for (int round = 0; round < 20; ++round) {
        const auto text = std::to_string(round);
        sent.insert(text);
        // The kill comes right behind the entry: its delivery may be lost on the way.
        Client killer(io_.get_executor(), redis_.address());
        auto both = testing::run(io_, killer.transaction({{"XADD", "s", "*", "data", text},
                                                          {"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}}));
        EXPECT_TRUE(both);
    }
    ASSERT_TRUE(eventually([&] { return std::set<std::string>(handled_.begin(), handled_.end()) == sent; }));
    ASSERT_TRUE(eventually([&] { return pending() == 0; }));
    EXPECT_THAT(dead_letters(), IsEmpty());
    stop(*running);
}

TEST_F(ConsumerTest, SurvivesAServerThatFallsSilent) {
    auto running = run_consumer(options(), record());
    add("1");
    ASSERT_TRUE(eventually([&] { return handled_.size() == 1; }));
    redis_.pause();
    // Longer than a block and its grace: the connections are given up and made again.
    const auto until = std::chrono::steady_clock::now() + 6s;
    eventually([&] { return std::chrono::steady_clock::now() > until; });
    redis_.resume();
    add("2");
    ASSERT_TRUE(eventually([&] { return handled_.size() == 2; }, 20s));
    stop(*running);
}

TEST_F(ConsumerTest, TenThousandMessagesInBoundedMemory) {
    const auto resident = [] {
        std::ifstream file("/proc/self/statm");
        std::int64_t size = 0;
        std::int64_t pages = 0;
        file >> size >> pages;
        return pages * 4096;
    };
    Client client(io_.get_executor(), redis_.address());
    std::vector<Arguments> batch;
    const std::string data(1000, 'x');
    for (int i = 0; i < 10000; ++i) batch.push_back({"XADD", "s", "*", "data", data});
    ASSERT_TRUE(testing::run(io_, client.transaction(std::move(batch))));
    batch = {};
    const auto before = resident();
    std::size_t count = 0;
    const auto started = std::chrono::steady_clock::now();
    auto running = run_consumer(options(), at_once([&](const Delivery&) {
                                    ++count;
                                    return Result<void>();
                                }));
    ASSERT_TRUE(eventually([&] { return count == 10000; }, 30s));
    RecordProperty("ms", static_cast<int>((std::chrono::steady_clock::now() - started) / 1ms));
#if __has_feature(address_sanitizer)
    constexpr std::int64_t kLimit = 400 << 20;  // its quarantine keeps what was freed
#else
    constexpr std::int64_t kLimit = 16 << 20;
#endif
    EXPECT_LT(resident() - before, kLimit);
    ASSERT_TRUE(eventually([&] { return pending() == 0; }));
    stop(*running);
}

TEST_F(ConsumerTest, IdleConsumersWithoutPendingEntriesAreRemoved) {
    add("m");
    abandon("busy");
    redis_.command({"XGROUP", "CREATECONSUMER", "s", "g", "idle"});
    Client client(io_.get_executor(), redis_.address());
    const Membership me{"s", "g", "me"};
    redis_.command({"XGROUP", "CREATECONSUMER", "s", "g", "me"});
    EXPECT_EQ(testing::run(io_, remove_idle_consumers(client, me, 1h)).value_or(-1), 0);
    EXPECT_EQ(testing::run(io_, remove_idle_consumers(client, me, 0ms)).value_or(-1), 1);
    EXPECT_EQ(redis_.command({"XINFO", "CONSUMERS", "s", "g"}).elements.size(), 2u) << "busy and me";
}

TEST_F(ConsumerTest, TrimmingKeepsWhatAnyGroupStillNeeds) {
    Client client(io_.get_executor(), redis_.address());
    std::vector<std::string> ids;
    for (int i = 0; i < 10; ++i) ids.push_back(add(std::to_string(i)));
    const auto trim = [&](std::size_t keep = 0) {
        return testing::run(io_, trim_consumed(client, "s", keep)).value_or(-1);
    };
    EXPECT_EQ(trim(), 0) << "no group: nobody has read it";
    redis_.command({"XGROUP", "CREATE", "s", "a", "0"});
    redis_.command({"XGROUP", "CREATE", "s", "b", "0"});
    redis_.command({"XREADGROUP", "GROUP", "a", "x", "COUNT", "8", "STREAMS", "s", ">"});
    EXPECT_EQ(trim(), 0) << "b has read nothing";
    redis_.command({"XREADGROUP", "GROUP", "b", "x", "COUNT", "6", "STREAMS", "s", ">"});
    for (int i = 0; i < 8; ++i) redis_.command({"XACK", "s", "a", ids[static_cast<std::size_t>(i)]});
    for (int i = 0; i < 6; ++i) {
        if (i != 3) redis_.command({"XACK", "s", "b", ids[static_cast<std::size_t>(i)]});
    }
    EXPECT_EQ(trim(), 3) << "up to b's pending entry";
    redis_.command({"XACK", "s", "b", ids[3]});
    EXPECT_EQ(trim(7), 0);
    EXPECT_EQ(trim(), 3) << "up to what b has not read";
    redis_.command({"XREADGROUP", "GROUP", "b", "x", "NOACK", "STREAMS", "s", ">"});
    redis_.command({"XREADGROUP", "GROUP", "a", "x", "NOACK", "STREAMS", "s", ">"});
    EXPECT_EQ(trim(), 4);
    EXPECT_EQ(redis_.command({"XLEN", "s"}).integer, 0);
    EXPECT_EQ(testing::run(io_, trim_consumed(client, "absent")).value_or(-1), 0);
}

TEST_F(ConsumerTest, DataLossIsNoticedOnceALoss) {
    int losses = 0;
    bool broken = false;
    DataLossDetector detector(
        io_.get_executor(), redis_.address(), "workflow",
        [&] {
            return [](int* count, bool* fails) -> Task<Result<void>> {
                ++*count;
                if (*fails) co_return fail(ErrorCategory::transient, "x", "not now");
                co_return Result<void>();
            }(&losses, &broken);
        },
        20ms);
    asio::cancellation_signal cancel;
    bool ended = false;
    asio::co_spawn(io_, detector.run(),
                   asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr) { ended = true; }));
    const auto count = [&] {
        const auto text = redis_.command({"GET", "codegen:epoch:workflow"}).text;
        return text.empty() ? 0 : std::stoi(text);
    };
    ASSERT_TRUE(eventually([&] { return losses == 1 && count() > 2; })) << "none at the first look";
    redis_.command({"FLUSHALL"});
    ASSERT_TRUE(eventually([&] { return losses == 2 && count() > 2; }));
    redis_.command({"SET", "codegen:epoch:workflow", "1"});
    ASSERT_TRUE(eventually([&] { return losses == 3 && count() > 2; })) << "an older state";
    redis_.restart();
    redis_.command({"CONFIG", "GET", "port"});
    const auto after_restart = losses;
    broken = true;
    redis_.wipe();
    ASSERT_TRUE(eventually([&] { return losses >= after_restart + 2; })) << "called again while it fails";
    broken = false;
    ASSERT_TRUE(eventually([&] { return count() > 2; }));
    const auto settled = losses;
    const auto before = count();
    ASSERT_TRUE(eventually([&] { return count() > before + 3; }));
    EXPECT_EQ(losses, settled);
    cancel.emit(asio::cancellation_type::terminal);
    ASSERT_TRUE(eventually([&] { return ended; }));
}

}  // namespace
}  // namespace codegen::redis
