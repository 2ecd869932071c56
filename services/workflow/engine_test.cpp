// The run under random event orders: whatever comes, in whatever order and however often, there is one outcome, and a
// worker that was asked for is removed. What single paths do is in engine_paths_test.cpp.
#include "services/workflow/engine_world.hpp"

namespace codegen::workflow {
namespace {

Event stale(World& world, std::mt19937& random) {
    const auto& known = world.requests;
    std::string id = known.empty() || random() % 3 == 0 ? "nobody" : known[random() % known.size()];
    if (id == world.run.request_id) id += "-other";
    switch (random() % 5) {
        case 0:
            return WorkerCreated{world.created(id, true)};
        case 1:
            return DeveloperFinished{world.output(id, 0)};
        case 2:
            return WorkCollected{World::collected(id, 2)};
        case 3:
            return WorkerDeleted{World::deleted(id, true)};
        default:
            return DeadlinePassed{id};
    }
}

void feed_anything(World& world, std::mt19937& random) {
    switch (random() % 9) {
        case 0:
            world.feed(stale(world, random));
            break;
        case 1:
            world.feed(ResendDue{});
            break;
        case 2:
            if (random() % 4 == 0) world.feed(CancelAsked{});
            break;
        case 3:
            world.feed(ResumeAsked{"go on"});
            break;
        case 4:
            world.now += std::chrono::minutes(random() % 10);
            world.feed(DeadlinePassed{world.run.request_id});
            break;
        case 5:
            world.feed(Begin{});
            break;
        case 6:
            if (random() % 4 == 0) world.feed(AskerKnown{"asked", "answers"});
            break;
        default: {
            const Event event = world.fitting(random);
            world.feed(event);
            if (random() % 2) world.feed(event);  // the same once more
        }
    }
}

void expect_a_good_end(World& world) {
    ASSERT_EQ(world.endings.size(), 1u);
    EXPECT_EQ(world.answers, 1);
    EXPECT_TRUE(world.bodies.empty());
    EXPECT_TRUE(world.left_behind().empty()) << *world.left_behind().begin();
    if (world.creates == 0) EXPECT_EQ(world.deletes, 0);
    // One row for every request that a worker got, no more.
    const std::set<std::string> rows(world.executions.begin(), world.executions.end());
    EXPECT_EQ(rows.size(), world.executions.size());
    EXPECT_EQ(rows, world.input_requests);
    EXPECT_FALSE(world.metadata.contains("waiting_for"));
    if (world.endings[0] == "completed" && world.result.contains("commit_sha")) {
        const auto status = World::text(world.result.at("tests").as_object(), "status");
        EXPECT_EQ(status, world.run.data.tests.command ? "passed" : "none");
    }
    EXPECT_LE(world.run.data.tests.returns, world.policy.test_returns);
    for (const auto& [reason, count] : world.run.data.retries)
        EXPECT_LE(count.as_int64(), world.policy.retries.at(*json::enum_from<Reason>(reason)));
}

TEST(Engine, invariants_hold_under_random_event_orders) {
    std::set<Node> seen;
    for (unsigned seed = 0; seed < 5000; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        World world;
        if (seed % 3 == 0) world.run.data.callback_stream.reset();  // as the sweeper starts one
        if (seed % 5 == 0) world.policy.retries[Reason::timeout] = 2;
        ASSERT_TRUE(world.feed(Begin{}));
        for (int i = 0; i < 600 && !is_terminal(world.run); ++i) {
            feed_anything(world, random);
            seen.insert(world.run.node);
        }
        ASSERT_TRUE(is_terminal(world.run));
        for (int i = 0; i < 10; ++i) {
            auto late = stale(world, random);
            EXPECT_FALSE(world.feed(late));
            if (!std::holds_alternative<WorkerCreated>(late)) EXPECT_FALSE(world.feed(CancelAsked{}));
        }
        if (!world.run.data.callback_stream) world.feed(AskerKnown{"asked", "answers"});
        expect_a_good_end(world);
        if (::testing::Test::HasFailure()) return;
    }
    EXPECT_EQ(seen.size(), 13u) << "every node was visited";
}

}  // namespace
}  // namespace codegen::workflow
