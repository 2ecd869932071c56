// What single paths through the run do.
#include "services/workflow/engine_world.hpp"

namespace codegen::workflow {
namespace {

const std::string kSession = "0b9c5a3e-6f0d-4c39-9d5e-0a4b1c2d3e4f";

TEST(EnginePaths, the_prompt_arrives_byte_for_byte_and_the_outcome_waits_for_the_removal) {
    World world;
    world.to_develop();
    ASSERT_EQ(world.inputs.size(), 1u);
    EXPECT_EQ(world.last_input().prompt, world.run.data.prompt);
    EXPECT_EQ(world.last_input().timeout, 60);
    const auto developing = world.fence();
    world.develop();
    EXPECT_EQ(world.run.node, Node::collect);
    world.collect();
    EXPECT_EQ(world.run.node, Node::remove_worker) << "the project has no tests";
    EXPECT_TRUE(world.endings.empty()) << "the outcome waits for the worker to be gone";
    world.remove();
    EXPECT_EQ(world.run.node, Node::done);
    EXPECT_EQ(world.endings, std::vector<std::string>{"completed"});
    EXPECT_EQ(world.executions, std::vector<std::string>{developing});
    EXPECT_EQ(World::text(world.result.at("tests").as_object(), "status"), "none");
}

TEST(EnginePaths, a_manager_that_does_not_answer_delays_the_outcome_only_so_long) {
    World world;
    world.begin();
    world.repository();
    world.feed(CancelAsked{});
    EXPECT_EQ(world.run.node, Node::remove_worker);
    world.now += 16s;
    EXPECT_TRUE(world.feed(DeadlinePassed{world.fence()}));
    EXPECT_EQ(world.endings, std::vector<std::string>{"cancelled"});
    EXPECT_EQ(world.run.node, Node::remove_worker);
    EXPECT_TRUE(world.feed(ResendDue{}));
    EXPECT_EQ(world.deletes, 2);
    world.remove();
    EXPECT_EQ(world.run.node, Node::done);
    EXPECT_EQ(world.endings.size(), 1u);
}

TEST(EnginePaths, a_worker_that_comes_after_the_end_is_removed) {
    World world;
    world.begin();
    world.repository();
    const auto late = world.created(world.fence(), true);
    world.feed(CancelAsked{});
    world.remove();
    ASSERT_TRUE(is_terminal(world.run));
    EXPECT_EQ(world.deletes, 1);
    EXPECT_FALSE(world.feed(WorkerCreated{late}));
    EXPECT_EQ(world.deletes, 2);
}

TEST(EnginePaths, a_worker_of_an_earlier_attempt_that_comes_late_is_removed_and_the_present_one_left_alone) {
    World world;
    world.begin();
    world.repository();
    const auto late = world.created(world.fence(), true);
    world.overdue();
    world.remove();
    world.overdue();  // the pause
    EXPECT_EQ(world.run.data.worker_id, "dev-5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c-2");
    const auto present = world.created(world.fence(), true);
    world.create();
    const int deletes = world.deletes;
    EXPECT_FALSE(world.feed(WorkerCreated{present})) << "answered twice";
    EXPECT_EQ(world.deletes, deletes);
    EXPECT_FALSE(world.feed(WorkerCreated{late}));
    EXPECT_EQ(World::text(world.last_command(), "worker_id"), "dev-5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c-1");
    auto foreign = late;  // of a task whose id begins alike
    foreign.worker_id = "dev-5b0f6f0e-1d7c-4a52-9b8e-ffffffffffff-1";
    world.feed(WorkerCreated{foreign});
    EXPECT_EQ(world.deletes, deletes + 1) << "nobody else's is touched";
}

TEST(EnginePaths, a_refused_worker_is_not_removed) {
    World world;
    world.begin();
    world.repository();
    world.create(false);
    EXPECT_EQ(world.run.node, Node::done);
    EXPECT_EQ(world.run.data.outcome->reason, Reason::no_capacity);
    EXPECT_EQ(world.deletes, 0);
}

TEST(EnginePaths, unusable_settings_fail_at_once_and_only_once) {
    World world;
    world.run.data.task_metadata = {{"agent", "custom"}};
    world.begin();
    world.repository();
    EXPECT_EQ(world.run.node, Node::done);
    EXPECT_EQ(world.creates, 0);
    EXPECT_NE(world.run.data.outcome->error->find("agent_command"), std::string::npos);
    EXPECT_TRUE(world.run.data.retries.empty()) << "another attempt would end the same way";
}

// -- a person

TEST(EnginePaths, a_blocked_agent_goes_on_in_its_worker_with_the_guidance) {
    World world;
    world.to_develop();
    const auto first = world.fence();
    auto asks = world.output(world.fence(), 3);
    asks.session_id = kSession;
    world.develop(asks);
    EXPECT_EQ(world.run.node, Node::blocked);
    EXPECT_EQ(world.metadata.at("waiting_for"), "human");
    EXPECT_EQ(world.metadata.at("question"), "tabs or spaces?");
    EXPECT_EQ(world.executions, std::vector<std::string>{first});
    EXPECT_EQ(world.rows[first].at("status"), "failure");
    EXPECT_TRUE(world.feed(ResumeAsked{"use tabs"}));
    EXPECT_FALSE(world.metadata.contains("waiting_for"));
    EXPECT_EQ(world.run.node, Node::create_worker) << "the manager says whether the worker still lives";
    EXPECT_EQ(world.last_command().at("workspace").at("resume"), true);
    EXPECT_EQ(world.last_command().at("context").at("session_id"), boost::json::string(kSession));
    EXPECT_EQ(world.creates, 2);
    world.create();
    EXPECT_EQ(world.last_input().prompt, "use tabs");
    EXPECT_EQ(world.last_input().session_id, kSession);
    EXPECT_FALSE(world.feed(ResumeAsked{"again"})) << "refused: it does not wait";
}

TEST(EnginePaths, a_person_who_thinks_long_costs_no_worker) {
    World world;
    world.to_develop();
    world.develop(world.output(world.fence(), 3));
    ASSERT_TRUE(world.run.deadline);
    world.overdue();
    EXPECT_EQ(world.run.node, Node::park);
    EXPECT_EQ(world.last_command().at("keep_workspace"), true);
    world.remove(false);
    EXPECT_EQ(world.run.node, Node::park) << "it may still be there";
    world.remove();
    EXPECT_EQ(world.run.node, Node::blocked);
    EXPECT_FALSE(world.run.deadline) << "a person may take for ever";
    EXPECT_FALSE(world.run.resend_at);
    EXPECT_EQ(world.metadata.at("waiting_for"), "human");
    EXPECT_TRUE(world.feed(ResumeAsked{"use tabs"}));
    EXPECT_EQ(world.last_command().at("workspace").at("resume"), true);
    world.create();
    world.develop();
    world.collect();
    EXPECT_EQ(world.run.node, Node::remove_worker);
    EXPECT_FALSE(world.last_command().contains("keep_workspace"));
}

TEST(EnginePaths, an_answer_while_the_body_is_given_back_is_not_lost) {
    World world;
    world.to_develop();
    world.develop(world.output(world.fence(), 3));
    world.overdue();
    ASSERT_EQ(world.run.node, Node::park);
    EXPECT_TRUE(world.feed(ResumeAsked{"use tabs"}));
    EXPECT_EQ(world.run.node, Node::park) << "first the removal that is under way";
    EXPECT_FALSE(world.feed(ResumeAsked{"use spaces"})) << "the first answer stands";
    world.remove();
    EXPECT_EQ(world.run.node, Node::create_worker);
    world.create();
    EXPECT_EQ(world.last_input().prompt, "use tabs");
}

TEST(EnginePaths, cancel_while_nobody_works_removes_what_was_kept) {
    World world;
    world.to_develop();
    world.develop(world.output(world.fence(), 3));
    world.overdue();
    world.remove();
    ASSERT_EQ(world.run.node, Node::blocked);
    EXPECT_TRUE(world.feed(CancelAsked{}));
    EXPECT_EQ(world.run.node, Node::remove_worker);
    EXPECT_FALSE(world.last_command().contains("keep_workspace"));
    world.remove();
    EXPECT_EQ(world.endings, std::vector<std::string>{"cancelled"});
    EXPECT_FALSE(world.metadata.contains("waiting_for"));
    EXPECT_FALSE(world.metadata.contains("question"));
}

TEST(EnginePaths, what_a_client_wrote_into_the_metadata_makes_no_task_wait) {
    World world;
    world.run.data.task_metadata["waiting_for"] = "human";
    world.to_develop();
    EXPECT_FALSE(world.feed(ResumeAsked{"go"}));
}

TEST(EnginePaths, an_agent_without_a_conversation_hears_the_task_again) {
    World world;
    world.run.data.task_metadata = {{"agent", "claude"}};
    world.to_develop();
    world.develop(world.output(world.fence(), 3));  // it names no session
    world.feed(ResumeAsked{"use tabs"});
    world.create();
    EXPECT_TRUE(world.last_input().prompt.starts_with(world.run.data.prompt));
    EXPECT_TRUE(world.last_input().prompt.ends_with("use tabs"));
}

// -- retries

TEST(EnginePaths, our_own_trouble_is_tried_again_with_another_worker) {
    World world;
    world.to_develop();
    const auto first = world.fence();
    world.develop(world.failed_output(world.fence(), Reason::infrastructure));
    EXPECT_EQ(world.run.node, Node::remove_worker);
    world.remove();
    EXPECT_EQ(world.run.node, Node::pause);
    EXPECT_EQ(world.rows[first].at("status"), "error");
    EXPECT_EQ(world.rows[first].at("result_data").at("reason"), "infrastructure");
    EXPECT_FALSE(world.run.resend_at);
    world.overdue();
    EXPECT_EQ(world.run.node, Node::create_worker);
    EXPECT_EQ(World::text(world.last_command().at("config").as_object(), "name"),
              "dev-5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c-2");
    EXPECT_FALSE(world.last_command().at("workspace").as_object().contains("resume"));
    world.create();
    EXPECT_EQ(world.last_input().prompt, world.run.data.prompt);
    world.develop(world.failed_output(world.fence(), Reason::infrastructure));
    world.remove();
    EXPECT_EQ(world.endings, std::vector<std::string>{"failed"}) << "once is enough";
    EXPECT_EQ(world.result.at("attempts"), 2);
    EXPECT_EQ(world.result.at("retries").at("infrastructure"), 1);
    EXPECT_EQ(world.executions.size(), 2u);
}

TEST(EnginePaths, pauses_grow) {
    World world;
    world.policy.retries = {{Reason::no_capacity, 3}};
    world.begin();
    world.repository();
    std::vector<std::chrono::microseconds> pauses;
    while (!is_terminal(world.run)) {
        world.create(false);
        if (world.run.node != Node::pause) break;
        pauses.push_back(*world.run.deadline - world.now);
        world.overdue();
    }
    EXPECT_EQ(pauses, (std::vector<std::chrono::microseconds>{2s, 4s, 8s}));
    EXPECT_EQ(world.run.data.outcome->reason, Reason::no_capacity);
}

TEST(EnginePaths, what_the_agent_did_is_not_tried_again) {
    for (const auto reason : {Reason::killed, Reason::timeout, Reason::no_verdict, Reason::agent_failure,
                              Reason::provider_error, Reason::budget}) {
        World world;
        world.to_develop();
        world.develop(world.failed_output(world.fence(), reason));
        world.remove();
        EXPECT_TRUE(is_terminal(world.run)) << json::name_of(reason);
        EXPECT_EQ(world.creates, 1);
    }
}

TEST(EnginePaths, out_of_memory_is_tried_with_twice_the_memory_up_to_the_cap) {
    const auto second_limit = [](std::string asked, std::int64_t cap) {
        World world;
        world.policy.memory_cap = cap;
        if (!asked.empty()) world.run.data.task_metadata["memory_limit"] = asked;
        world.to_develop();
        world.develop(world.failed_output(world.fence(), Reason::out_of_memory));
        world.remove();
        if (is_terminal(world.run)) return std::string("none");
        world.overdue();
        return World::text(world.last_command().at("config").as_object(), "memory_limit");
    };
    EXPECT_EQ(second_limit("", 8ll << 30), std::to_string(4ll << 30));
    EXPECT_EQ(second_limit("512m", 8ll << 30), std::to_string(1ll << 30));
    EXPECT_EQ(second_limit("1.5g", 2ll << 30), std::to_string(2ll << 30)) << "the cap binds";
    EXPECT_EQ(second_limit("2g", 2ll << 30), "none") << "there is no more to give";
}

TEST(EnginePaths, a_second_attempt_knows_what_a_person_had_said) {
    World world;
    world.to_develop();
    world.develop(world.output(world.fence(), 3));
    world.feed(ResumeAsked{"use tabs"});
    world.create();
    world.develop(world.failed_output(world.fence(), Reason::infrastructure));
    world.remove();
    world.overdue();
    world.create();
    EXPECT_TRUE(world.last_input().prompt.starts_with(world.run.data.prompt));
    EXPECT_TRUE(world.last_input().prompt.contains("use tabs"));
}

TEST(EnginePaths, a_conversation_that_cannot_go_on_starts_again) {
    World world;
    world.refusal = "no workspace of dev-5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c-1 is kept here";
    world.to_develop();
    world.develop(world.output(world.fence(), 3));
    world.feed(ResumeAsked{"use tabs"});
    world.create(false);
    EXPECT_EQ(world.run.node, Node::remove_worker) << "what may be left of it goes";
    world.remove();
    world.overdue();
    EXPECT_EQ(World::text(world.last_command().at("config").as_object(), "name"),
              "dev-5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c-2");
    EXPECT_FALSE(world.last_command().at("workspace").as_object().contains("resume"));
}

TEST(EnginePaths, only_the_collection_is_repeated_when_only_it_failed) {
    World world;
    world.to_develop();
    world.develop();
    world.feed(WorkCollected{World::collected(world.fence(), 0)});
    EXPECT_EQ(world.run.node, Node::pause);
    world.overdue();
    EXPECT_EQ(world.run.node, Node::collect);
    world.collect();
    world.remove();
    EXPECT_EQ(world.endings, std::vector<std::string>{"completed"});
    EXPECT_EQ(world.creates, 1);
    EXPECT_EQ(world.executions.size(), 1u);
}

TEST(EnginePaths, cancel_during_a_pause_ends_at_once) {
    World world;
    world.to_develop();
    world.develop(world.failed_output(world.fence(), Reason::infrastructure));
    world.remove();
    ASSERT_EQ(world.run.node, Node::pause);
    EXPECT_TRUE(world.feed(CancelAsked{}));
    EXPECT_TRUE(is_terminal(world.run));
    EXPECT_EQ(world.endings, std::vector<std::string>{"cancelled"});
}

// -- the project's tests

TEST(EnginePaths, green_tests_complete_the_task) {
    World world;
    world.to_develop("make test");
    const auto developing = world.fence();
    world.to_test();
    const auto& create = world.last_command();
    EXPECT_EQ(World::text(create.at("config").as_object(), "name"), "test-5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c-1");
    EXPECT_EQ(create.at("config").at("agent_type"), "custom");
    EXPECT_EQ(create.at("config").at("command").as_array().back(), "make test");
    EXPECT_EQ(create.at("config").at("allowed_commands"), boost::json::array{"result"});
    EXPECT_EQ(create.at("workspace").at("base_ref"), "abc") << "exactly what was collected";
    EXPECT_FALSE(create.at("workspace").as_object().contains("resume"));
    const auto testing = world.fence();
    world.tested(0);
    EXPECT_EQ(world.run.node, Node::remove_tester);
    EXPECT_EQ(World::text(world.last_command(), "worker_id"), "test-5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c-1");
    world.remove();
    EXPECT_EQ(world.run.node, Node::remove_worker) << "the developer's workspace was kept until now";
    world.remove();
    EXPECT_EQ(world.endings, std::vector<std::string>{"completed"});
    EXPECT_EQ(world.result.at("tests"),
              (boost::json::object{{"status", "passed"}, {"command", "make test"}, {"runs", 1}}));
    EXPECT_EQ(world.executions, (std::vector<std::string>{developing, testing}));
    EXPECT_EQ(world.rows[testing].at("result_data").at("kind"), "test");
    EXPECT_EQ(world.rows[testing].at("status"), "success");
    EXPECT_EQ(world.rows[developing].at("status"), "success");
}

TEST(EnginePaths, red_tests_go_back_to_the_developer_in_the_same_conversation) {
    World world;
    world.to_develop("make test");
    auto out = world.output(world.fence(), 0);
    out.session_id = kSession;
    world.develop(out);
    world.collect();
    world.remove();
    world.create();
    const auto testing = world.fence();
    world.tested(2, "2 of 3 passed");
    world.remove();
    EXPECT_EQ(world.rows[testing].at("status"), "failure");
    EXPECT_EQ(world.rows[testing].at("result_data").at("output"), "exit code 2\n2 of 3 passed");
    EXPECT_EQ(world.run.node, Node::create_worker);
    EXPECT_EQ(World::text(world.last_command().at("config").as_object(), "name"),
              "dev-5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c-1");
    EXPECT_EQ(world.last_command().at("workspace").at("resume"), true);
    world.create();
    const auto input = world.last_input();
    EXPECT_EQ(input.session_id, kSession);
    EXPECT_TRUE(input.prompt.contains("2 of 3 passed")) << input.prompt;
    EXPECT_TRUE(input.prompt.contains("make test"));
    EXPECT_TRUE(input.prompt.contains("abc")) << "the commit";
    world.to_test();
    world.tested(0);
    world.remove();
    world.remove();
    EXPECT_EQ(world.endings, std::vector<std::string>{"completed"});
    EXPECT_EQ(world.result.at("tests").at("runs"), 2);
    EXPECT_EQ(world.executions.size(), 4u);
}

TEST(EnginePaths, tests_that_stay_red_fail_the_task_after_three_returns) {
    World world;
    world.to_develop("make test");
    int runs = 0;
    while (world.run.node == Node::develop) {
        world.to_test();
        world.tested(1);
        ++runs;
        world.remove();
        if (world.run.node == Node::create_worker) world.create();
    }
    EXPECT_EQ(runs, 4);
    EXPECT_EQ(world.run.node, Node::remove_worker);
    world.remove();
    EXPECT_EQ(world.endings, std::vector<std::string>{"failed"});
    EXPECT_EQ(world.result.at("reason"), "agent_failure");
    EXPECT_EQ(world.result.at("commit_sha"), "abc") << "what there is can be looked at";
    EXPECT_EQ(world.result.at("tests").at("status"), "failed");
    EXPECT_TRUE(world.run.data.outcome->error->contains("2 of 3 passed"));
}

TEST(EnginePaths, tests_that_do_not_end_or_eat_all_memory_are_red) {
    for (const auto reason : {Reason::timeout, Reason::out_of_memory}) {
        World world;
        world.to_develop("make test");
        world.to_test();
        auto out = world.failed_output(world.fence(), reason);
        if (reason == Reason::timeout) out.status = contracts::ResultStatus::timeout;
        world.develop(out);
        world.remove();
        EXPECT_EQ(world.run.node, Node::create_worker) << json::name_of(reason);
        EXPECT_EQ(world.run.data.tests.returns, 1);
    }
}

TEST(EnginePaths, tests_that_cannot_be_run_are_tried_again_and_do_not_count_as_red) {
    World world;
    world.refusal = "image: build failed";
    world.to_develop("make test");
    world.develop();
    world.collect();
    world.remove();
    world.create(false);
    EXPECT_EQ(world.run.node, Node::pause) << "a refused worker is not removed";
    world.overdue();
    EXPECT_EQ(World::text(world.last_command().at("config").as_object(), "name"),
              "test-5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c-2");
    world.create();
    world.develop(world.output(world.fence(), 2));  // no verdict
    EXPECT_EQ(world.run.node, Node::remove_tester);
    world.remove();
    world.remove();
    EXPECT_EQ(world.endings, std::vector<std::string>{"failed"});
    EXPECT_EQ(world.result.at("reason"), "infrastructure");
    EXPECT_EQ(world.result.at("tests").at("status"), "not_run");
    EXPECT_EQ(world.result.at("commit_sha"), "abc");
}

TEST(EnginePaths, nothing_changed_needs_no_tests) {
    World world;
    world.to_develop("make test");
    auto out = world.output(world.fence(), 0);
    out.verdict->data["no_changes"] = true;
    world.develop(out);
    world.feed(WorkCollected{World::collected(world.fence(), 1)});
    EXPECT_EQ(world.run.node, Node::remove_worker);
    world.remove();
    EXPECT_EQ(world.endings, std::vector<std::string>{"completed"});
}

TEST(EnginePaths, a_manager_that_is_away_delays_a_green_outcome_shortly_and_a_red_one_until_it_is_back) {
    World world;
    world.to_develop("make test");
    world.to_test();
    world.tested(0);
    world.now += 16s;
    EXPECT_TRUE(world.feed(DeadlinePassed{world.fence()}));
    EXPECT_EQ(world.endings, std::vector<std::string>{"completed"});
    world.remove();
    world.remove();
    EXPECT_TRUE(is_terminal(world.run));
    EXPECT_EQ(world.executions.size(), 2u);

    World red;
    red.to_develop("make test");
    red.to_test();
    red.tested(1);
    red.now += 16s;
    EXPECT_FALSE(red.feed(DeadlinePassed{red.fence()})) << "the run goes on, it has time";
    EXPECT_TRUE(red.feed(ResendDue{}));
    red.remove();
    EXPECT_EQ(red.run.node, Node::create_worker);
}

TEST(EnginePaths, cancel_while_the_tests_run_removes_both_workers) {
    World world;
    world.to_develop("make test");
    world.to_test();
    world.feed(CancelAsked{});
    EXPECT_EQ(world.run.node, Node::remove_tester);
    world.remove();
    EXPECT_EQ(world.run.node, Node::remove_worker);
    EXPECT_TRUE(world.endings.empty());
    world.remove();
    EXPECT_EQ(world.endings, std::vector<std::string>{"cancelled"});
    EXPECT_TRUE(world.left_behind().empty());
}

// -- who asked

TEST(EnginePaths, who_asks_late_is_answered_once) {
    World running;
    running.run.data.callback_stream.reset();
    running.to_develop();
    EXPECT_TRUE(running.feed(AskerKnown{"asked", "answers"}));
    EXPECT_FALSE(running.feed(AskerKnown{"asked again", "answers"}));
    running.develop();
    running.collect();
    EXPECT_EQ(running.answers, 0);
    running.remove();
    EXPECT_EQ(running.answers, 1);

    World ended;
    ended.run.data.callback_stream.reset();
    ended.begin();
    ended.feed(CancelAsked{});
    ASSERT_TRUE(is_terminal(ended.run));
    EXPECT_FALSE(ended.feed(AskerKnown{"asked", "answers"})) << "the row stays as it is";
    EXPECT_EQ(ended.answers, 1);
}

}  // namespace
}  // namespace codegen::workflow
