// The run under random event orders: whatever comes, in whatever order and however often, there is one outcome, and a
// worker that was asked for is removed.
#include "services/workflow/engine.hpp"

#include <gtest/gtest.h>

#include <random>

#include "services/workflow/judgement.hpp"
#include "shared/json/json.hpp"

namespace codegen::workflow {
namespace {

using namespace std::chrono_literals;

class World {
  public:
    World() {
        run.task_id = "5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c";
        run.data.project_id = "p";
        run.data.prompt = "line one\n\"quoted\" $HOME";
        run.data.trigger_request_id = "trigger";
        run.data.callback_stream = "answers";
        run.data.task_metadata = {{"agent", "custom"}, {"agent_command", "true"}, {"timeout", 60}};
    }

    bool feed(const Event& event) {
        const Run before = run;
        auto next = step(run, event, context());
        if (before.data.outcome) {
            // The first outcome stands, whatever comes after it.
            EXPECT_TRUE(next.run.data.outcome);
            if (next.run.data.outcome) EXPECT_EQ(next.run.data.outcome->ending, before.data.outcome->ending);
        }
        if (!next.accepted) EXPECT_EQ(next.run.request_id, before.request_id);
        run = std::move(next.run);
        for (auto& effect : next.effects) note(effect);
        return next.accepted;
    }

    void note(const Effect& effect) {
        if (const auto* call = std::get_if<CallApi>(&effect)) {
            const auto body = boost::json::parse(call->body).as_object();
            if (call->method == "POST") executions.push_back(std::string(body.at("id").as_string()));
            if (const auto* status = body.if_contains("status");
                status && call->method == "PATCH" && *status != "running")
                endings.push_back(std::string(status->as_string()));
        } else if (const auto* message = std::get_if<Publish>(&effect)) {
            if (message->stream == "answers") ++answers;
            if (message->stream == "worker:commands") {
                const auto body = boost::json::parse(message->message).as_object();
                const std::string kind(body.at("command").as_string());
                if (kind == "create") ++creates;
                if (kind == "delete") ++deletes;
                requests.push_back(std::string(body.at("request_id").as_string()));
            } else if (message->stream == "worker:" + run.data.worker_id + ":input") {
                inputs.push_back(message->message);
                requests.push_back(std::string(boost::json::parse(message->message).at("request_id").as_string()));
            }
        }
    }

    Context context() {
        return {now, [this] { return "id-" + std::to_string(++ids); }, {}};
    }

    // The answer that the fence waits for.
    Event fitting(std::mt19937& random) {
        const auto& id = run.request_id;
        const auto any = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
        switch (run.node) {
            case Node::prepare:
                if (any(8) == 0) return RepositoryFailed{id, "disk full"};
                return RepositoryReady{id, "shop", "/repositories/p.git"};
            case Node::create_worker:
                return WorkerCreated{created(id, any(6) != 0)};
            case Node::develop:
                return DeveloperFinished{output(id, any(6))};
            case Node::collect:
                return WorkCollected{collected(id, any(4))};
            case Node::remove_worker:
                return WorkerDeleted{deleted(id, any(4) != 0)};
            case Node::blocked:
                return ResumeAsked{"use tabs"};
            case Node::done:
                break;
        }
        return ResendDue{};
    }

    static contracts::CreateWorkerResponse created(std::string id, bool success) {
        contracts::CreateWorkerResponse out;
        out.request_id = std::move(id);
        out.success = success;
        out.worker_id = "dev-5b0f6f0e-1";
        if (!success) out.error = "no_capacity: full";
        return out;
    }
    contracts::DeveloperWorkerOutput output(std::string id, int kind) const {
        contracts::DeveloperWorkerOutput out;
        out.request_id = std::move(id);
        out.task_id = run.task_id;
        out.timestamp = now;
        out.status = kind == 1 ? contracts::ResultStatus::timeout : contracts::ResultStatus::success;
        if (kind != 2) out.verdict.emplace();
        if (kind == 3) {
            out.verdict->status = contracts::VerdictStatus::failure;
            out.verdict->data["blocked"] = true;
        }
        return out;
    }
    static contracts::CollectWorkerResponse collected(std::string id, int kind) {
        contracts::CollectWorkerResponse out;
        out.request_id = std::move(id);
        out.success = kind != 0;
        if (kind > 1) {
            out.commit_sha = "abc";
            out.commits = 1;
        }
        return out;
    }
    static contracts::DeleteWorkerResponse deleted(std::string id, bool success) {
        contracts::DeleteWorkerResponse out;
        out.request_id = std::move(id);
        out.success = success;
        return out;
    }

    Run run;
    Timestamp now = from_micros(1'700'000'000'000'000);
    int ids = 0;
    int creates = 0;
    int deletes = 0;
    int answers = 0;
    std::vector<std::string> endings;
    std::vector<std::string> executions;
    std::vector<std::string> requests;  // everything that may ever be answered
    std::vector<std::string> inputs;
};

Event stale(World& world, std::mt19937& random) {
    const auto& known = world.requests;
    std::string id = known.empty() || random() % 3 == 0 ? "nobody" : known[random() % known.size()];
    if (id == world.run.request_id) id += "-other";
    switch (random() % 5) {
        case 0:
            return WorkerCreated{World::created(id, true)};
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

TEST(Engine, invariants_hold_under_random_event_orders) {
    for (unsigned seed = 0; seed < 5000; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        World world;
        ASSERT_TRUE(world.feed(Begin{}));
        for (int i = 0; i < 200 && !is_terminal(world.run); ++i) {
            switch (random() % 8) {
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
                default: {
                    const Event event = world.fitting(random);
                    world.feed(event);
                    if (random() % 2) world.feed(event);  // the same once more
                }
            }
        }
        ASSERT_TRUE(is_terminal(world.run));
        const int deletes = world.deletes;
        for (int i = 0; i < 10; ++i) {
            auto late = stale(world, random);
            EXPECT_FALSE(world.feed(late));
            if (!std::holds_alternative<WorkerCreated>(late)) EXPECT_FALSE(world.feed(CancelAsked{}));
        }
        EXPECT_GE(world.deletes, deletes);
        EXPECT_EQ(world.endings.size(), 1u);
        EXPECT_EQ(world.answers, 1);
        if (world.run.data.worker_exists) EXPECT_GE(deletes, 1);
        if (world.creates == 0) EXPECT_EQ(deletes, 0);
        auto unique = world.executions;
        std::sort(unique.begin(), unique.end());
        EXPECT_TRUE(std::adjacent_find(unique.begin(), unique.end()) == unique.end());
        for (const auto& id : world.executions)
            EXPECT_NE(std::find(world.requests.begin(), world.requests.end(), id), world.requests.end());
    }
}

TEST(Engine, happy_path_sends_the_prompt_byte_for_byte) {
    World world;
    world.feed(Begin{});
    EXPECT_EQ(world.run.node, Node::prepare);
    world.feed(RepositoryReady{world.run.request_id, "shop", "/r/p.git"});
    EXPECT_EQ(world.run.node, Node::create_worker);
    world.feed(WorkerCreated{World::created(world.run.request_id, true)});
    ASSERT_EQ(world.inputs.size(), 1u);
    const auto input = json::parse<contracts::DeveloperWorkerInput>(world.inputs[0]);
    ASSERT_TRUE(input);
    EXPECT_EQ(input->prompt, world.run.data.prompt);
    EXPECT_EQ(input->timeout, 60);
    const auto developing = world.run.request_id;
    world.feed(DeveloperFinished{world.output(developing, 0)});
    EXPECT_EQ(world.run.node, Node::collect);
    world.feed(WorkCollected{World::collected(world.run.request_id, 2)});
    EXPECT_EQ(world.run.node, Node::remove_worker);
    EXPECT_TRUE(world.endings.empty()) << "the outcome waits for the worker to be gone";
    world.feed(WorkerDeleted{World::deleted(world.run.request_id, true)});
    EXPECT_EQ(world.run.node, Node::done);
    EXPECT_EQ(world.endings, std::vector<std::string>{"completed"});
    EXPECT_EQ(world.executions, std::vector<std::string>{developing});
}

TEST(Engine, a_manager_that_does_not_answer_delays_the_outcome_only_so_long) {
    World world;
    world.feed(Begin{});
    world.feed(RepositoryReady{world.run.request_id, "shop", "/r/p.git"});
    world.feed(CancelAsked{});
    EXPECT_EQ(world.run.node, Node::remove_worker);
    world.now += 16s;
    EXPECT_TRUE(world.feed(DeadlinePassed{world.run.request_id}));
    EXPECT_EQ(world.endings, std::vector<std::string>{"cancelled"});
    EXPECT_EQ(world.run.node, Node::remove_worker);
    EXPECT_TRUE(world.feed(ResendDue{}));
    EXPECT_EQ(world.deletes, 2);
    world.feed(WorkerDeleted{World::deleted(world.run.request_id, true)});
    EXPECT_EQ(world.run.node, Node::done);
    EXPECT_EQ(world.endings.size(), 1u);
}

TEST(Engine, a_worker_that_comes_after_the_end_is_removed) {
    World world;
    world.feed(Begin{});
    world.feed(RepositoryReady{world.run.request_id, "shop", "/r/p.git"});
    const auto create = world.run.request_id;
    world.feed(CancelAsked{});
    world.feed(WorkerDeleted{World::deleted(world.run.request_id, true)});
    ASSERT_TRUE(is_terminal(world.run));
    EXPECT_EQ(world.deletes, 1);
    EXPECT_FALSE(world.feed(WorkerCreated{World::created(create, true)}));
    EXPECT_EQ(world.deletes, 2);
}

TEST(Engine, a_refused_worker_is_not_removed) {
    World world;
    world.feed(Begin{});
    world.feed(RepositoryReady{world.run.request_id, "shop", "/r/p.git"});
    world.feed(WorkerCreated{World::created(world.run.request_id, false)});
    EXPECT_EQ(world.run.node, Node::done);
    EXPECT_EQ(world.run.data.outcome->reason, Reason::no_capacity);
    EXPECT_EQ(world.deletes, 0);
}

TEST(Engine, blocked_waits_for_a_person_and_goes_on_with_the_guidance) {
    World world;
    world.feed(Begin{});
    world.feed(RepositoryReady{world.run.request_id, "shop", "/r/p.git"});
    world.feed(WorkerCreated{World::created(world.run.request_id, true)});
    world.feed(DeveloperFinished{world.output(world.run.request_id, 3)});
    EXPECT_EQ(world.run.node, Node::blocked);
    EXPECT_EQ(world.run.data.task_metadata.at("waiting_for"), "human");
    EXPECT_FALSE(world.run.deadline);
    EXPECT_TRUE(world.feed(ResumeAsked{"use tabs"}));
    EXPECT_EQ(world.run.node, Node::develop);
    EXPECT_FALSE(world.run.data.task_metadata.contains("waiting_for"));
    EXPECT_EQ(json::parse<contracts::DeveloperWorkerInput>(world.inputs.back())->prompt, "use tabs");
    EXPECT_FALSE(world.feed(ResumeAsked{"again"})) << "refused: it does not wait";
}

TEST(Engine, unusable_settings_fail_before_a_worker_is_asked_for) {
    World world;
    world.run.data.task_metadata = {{"agent", "custom"}};
    world.feed(Begin{});
    world.feed(RepositoryReady{world.run.request_id, "shop", "/r/p.git"});
    EXPECT_EQ(world.run.node, Node::done);
    EXPECT_EQ(world.creates, 0);
    EXPECT_NE(world.run.data.outcome->error->find("agent_command"), std::string::npos);
}

}  // namespace
}  // namespace codegen::workflow
