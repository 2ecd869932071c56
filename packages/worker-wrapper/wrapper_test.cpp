// The pure parts of the worker-wrapper.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/describe.hpp>
#include <boost/mp11.hpp>
#include <fstream>
#include <random>

#include "packages/worker-wrapper/agent_names.hpp"
#include "packages/worker-wrapper/agent_plan.hpp"
#include "packages/worker-wrapper/agent_socket.hpp"
#include "packages/worker-wrapper/event_buffer.hpp"
#include "packages/worker-wrapper/input_message.hpp"
#include "packages/worker-wrapper/oom.hpp"
#include "packages/worker-wrapper/outcome.hpp"
#include "packages/worker-wrapper/request_ledger.hpp"
#include "packages/worker-wrapper/result_store.hpp"
#include "packages/worker-wrapper/run_lifecycle.hpp"
#include "packages/worker-wrapper/sandbox.hpp"
#include "shared/contracts/input_entry.hpp"
#include "shared/resp/resp.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::wrapper {
namespace {

using contracts::VerdictStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSubsetOf;

TEST(VerdictFinder, TakesTheFirstBlock) {
    VerdictFinder finder;
    finder.feed(
        R"(done <result>{"status":"success","summary":"a"}</result> <result>{"status":"failure","summary":"b"}</result>)");
    ASSERT_TRUE(finder.verdict());
    EXPECT_EQ(finder.verdict()->status, VerdictStatus::success);
    EXPECT_EQ(finder.verdict()->summary, "a");
}

TEST(VerdictFinder, ReadsItInPiecesOfAnySize) {
    const std::string text = "x<result\n<result>\n{\"status\": \"failure\",\n \"summary\": \"s\"}\n</result>";
    for (std::size_t size = 1; size <= text.size(); ++size) {
        VerdictFinder finder;
        for (std::size_t at = 0; at < text.size(); at += size) finder.feed(std::string_view(text).substr(at, size));
        ASSERT_TRUE(finder.verdict()) << size;
        EXPECT_EQ(finder.verdict()->status, VerdictStatus::failure);
    }
}

TEST(VerdictFinder, PassesOverWhatIsNoVerdict) {
    VerdictFinder finder;
    finder.feed(
        "I end with <result>{...}</result>, or <result>{\"status\":\"great\"}</result>; an open <result> too. ");
    EXPECT_FALSE(finder.verdict());
    finder.feed(R"(<result>{"status":"success","summary":"real"}</result>)");
    ASSERT_TRUE(finder.verdict());
    EXPECT_EQ(finder.verdict()->summary, "real");
}

TEST(VerdictFinder, AnEndlessBlockDoesNotGrowForEver) {
    VerdictFinder finder;
    finder.feed("<result>");
    for (int i = 0; i < 300; ++i) finder.feed(std::string(8192, 'x'));
    finder.feed(R"(<result>{"status":"success","summary":"s"}</result>)");
    EXPECT_TRUE(finder.verdict());
}

TEST(ClaimedCommit, ReadsTheThreeNamesAndOnlyHashes) {
    contracts::AgentVerdict verdict;
    EXPECT_FALSE(claimed_commit(verdict));
    verdict.data = {{"sha", "ABCDEF0123"}};
    EXPECT_EQ(claimed_commit(verdict), "abcdef0123");
    verdict.data["commit"] = "--upload-pack=evil";
    EXPECT_EQ(claimed_commit(verdict), "abcdef0123");
    verdict.data["commit_sha"] = "0123456789012345678901234567890123456789";
    EXPECT_EQ(claimed_commit(verdict), "0123456789012345678901234567890123456789");
}

TEST(Text, BadBytesBecomeReplacements) {
    EXPECT_EQ(valid_utf8("a\xC3\xA9z"), "a\xC3\xA9z");
    EXPECT_EQ(valid_utf8("a\xFFz"), "a\xEF\xBF\xBDz");
    EXPECT_EQ(valid_utf8("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
    EXPECT_EQ(valid_utf8("\xC3"), "\xEF\xBF\xBD");
    EXPECT_EQ(shortened("a\xC3\xA9", 2), "a");
    EXPECT_EQ(shortened("a\xC3\xA9", 3), "a\xC3\xA9");
}

TEST(LineSplitter, SplitsWhateverThePieces) {
    const std::string text = "one\r\n\ntwo two\nlast";
    for (std::size_t size = 1; size <= text.size(); ++size) {
        std::vector<std::string> lines;
        auto take = [&](std::string_view line, bool cut) {
            EXPECT_FALSE(cut);
            lines.emplace_back(line);
        };
        LineSplitter splitter(100);
        for (std::size_t at = 0; at < text.size(); at += size)
            splitter.feed(std::string_view(text).substr(at, size), take);
        splitter.finish(take);
        EXPECT_THAT(lines, ElementsAre("one", "", "two two", "last")) << size;
    }
}

TEST(LineSplitter, ALongLineComesCutAndOnce) {
    for (std::size_t size : {1u, 3u, 50u}) {
        std::vector<std::pair<std::string, bool>> lines;
        auto take = [&](std::string_view line, bool cut) { lines.emplace_back(line, cut); };
        const std::string text = "0123456789abc\nnext\n";
        LineSplitter splitter(8);
        for (std::size_t at = 0; at < text.size(); at += size)
            splitter.feed(std::string_view(text).substr(at, size), take);
        splitter.finish(take);
        EXPECT_THAT(lines, ElementsAre(std::pair("01234567", true), std::pair("next", false))) << size;
    }
}

RunFacts good_run() {
    RunFacts facts;
    facts.end.exit_code = 0;
    facts.verdict = contracts::AgentVerdict{VerdictStatus::success, "s", {}};
    return facts;
}

struct Expected {
    std::string_view what;
    std::function<void(RunFacts&)> change;
    contracts::ResultStatus status;
    std::optional<contracts::FailureReason> reason;
    std::string_view text;
};

TEST(Outcome, TableOfReasons) {
    using R = contracts::FailureReason;
    using S = contracts::ResultStatus;
    const std::vector<Expected> table{
        {"success", [](RunFacts&) {}, S::success, {}, ""},
        {"start", [](RunFacts& f) { f.start_error = "exec /x: gone"; }, S::error, R::infrastructure, "exec /x: gone"},
        {"cancelled", [](RunFacts& f) { f.cut = Cut::cancelled; }, S::error, R::cancelled, "stopped"},
        {"timeout",
         [](RunFacts& f) {
             f.cut = Cut::timeout;
             f.timeout_seconds = 7;
         },
         S::timeout, R::timeout, "after 7 s"},
        {"halted",
         [](RunFacts& f) {
             f.cut = Cut::halted;
             f.halt_reason = R::budget;
             f.halt_error = "0.12 USD";
         },
         S::error, R::budget, "0.12 USD"},
        {"halted when it had given up",
         [](RunFacts& f) {
             f.end = {1, {}};
             f.halt_reason = R::provider_error;
             f.halt_error = "only 529";
         },
         S::error, R::provider_error, "only 529"},
        {"halted when it was done", [](RunFacts& f) { f.halt_reason = R::budget; }, S::success, {}, ""},
        {"oom",
         [](RunFacts& f) {
             f.end = {{}, 9};
             f.oom_counter_rose = true;
             f.memory_limit = 64 << 20;
         },
         S::error, R::out_of_memory, "64 MiB"},
        {"oom by shell",
         [](RunFacts& f) {
             f.end = {137, {}};
             f.oom_counter_rose = true;
         },
         S::error, R::out_of_memory, "memory limit"},
        {"a child's oom", [](RunFacts& f) { f.oom_counter_rose = true; }, S::success, {}, ""},
        {"killed", [](RunFacts& f) { f.end = {{}, 9}; }, S::error, R::killed, "signal 9"},
        {"exit 137", [](RunFacts& f) { f.end = {137, {}}; }, S::error, R::killed, "137"},
        {"exit 3",
         [](RunFacts& f) {
             f.end = {3, {}};
             f.last_error_line = "boom";
         },
         S::error, R::agent_failure, "exit 3: boom"},
        {"no verdict", [](RunFacts& f) { f.verdict.reset(); }, S::error, R::no_verdict, "without a verdict"},
        {"in progress", [](RunFacts& f) { f.verdict->status = VerdictStatus::in_progress; }, S::error, R::no_verdict,
         "in_progress"},
        {"own failure",
         [](RunFacts& f) {
             f.verdict->status = VerdictStatus::failure;
             f.verdict->summary = "cannot";
         },
         S::failed, R::agent_failure, "cannot"},
        {"own failure, exit 1",
         [](RunFacts& f) {
             f.verdict->status = VerdictStatus::failure;
             f.end = {1, {}};
         },
         S::failed, R::agent_failure, ""},
        {"success said, exit 1", [](RunFacts& f) { f.end = {1, {}}; }, S::error, R::agent_failure, "exit 1"},
        {"no final record", [](RunFacts& f) { f.needs_final_record = true; }, S::error, R::agent_failure,
         "final record"},
        {"final record",
         [](RunFacts& f) {
             f.needs_final_record = true;
             f.end = {1, {}};
             f.summary.final_record = FinalRecord{true, {}, ""};
         },
         S::success,
         {},
         ""},
        {"provider",
         [](RunFacts& f) {
             f.needs_final_record = true;
             f.summary.final_record = FinalRecord{false, R::provider_error, "529"};
         },
         S::error, R::provider_error, "529"},
        {"provider, died",
         [](RunFacts& f) {
             f.needs_final_record = true;
             f.end = {1, {}};
             f.summary.provider_trouble = "answered 500";
         },
         S::error, R::provider_error, "500"},
        {"asked again in vain",
         [](RunFacts& f) {
             f.asked_again = true;
             f.verdict.reset();
             f.end = {1, {}};
             f.needs_final_record = true;
             f.summary.final_record = FinalRecord{false, R::provider_error, "529"};
         },
         S::error, R::no_verdict, "asking for it failed: 529"},
        {"asked again, killed",
         [](RunFacts& f) {
             f.asked_again = true;
             f.verdict.reset();
             f.end = {{}, 9};
         },
         S::error, R::killed, "signal 9"},
        {"asked again, answered", [](RunFacts& f) { f.asked_again = true; }, S::success, {}, ""},
        {"answer needs no verdict",
         [](RunFacts& f) {
             f.needs_verdict = false;
             f.verdict.reset();
         },
         S::success,
         {},
         ""},
    };
    for (const auto& row : table) {
        RunFacts facts = good_run();
        row.change(facts);
        const Outcome outcome = decide(facts);
        EXPECT_EQ(outcome.status, row.status) << row.what;
        EXPECT_EQ(outcome.reason, row.reason) << row.what;
        EXPECT_THAT(outcome.error.value_or(""), HasSubstr(std::string(row.text))) << row.what;
        EXPECT_EQ(outcome.status == contracts::ResultStatus::success, !outcome.error) << row.what;
    }
}

// Whatever comes in whatever order: nothing is collected or finished before the tree is gone, and it finishes once.
TEST(RunLifecycle, RandomOrders) {
    using enum RunEvent;
    const std::vector<RunEvent> all{start_failed, started,        agent_ended, streams_closed,
                                    timed_out,    stop_requested, halted,      grace_over};
    for (unsigned seed = 0; seed < 20000; ++seed) {
        std::mt19937 random(seed);
        RunLifecycle run;
        bool killing = false, gone = false, collecting = false, terminating = false;
        int finished = 0;
        int asked = 0;
        auto feed = [&](RunEvent event) {
            for (RunAction action : run.on(event)) {
                if (action == RunAction::kill_tree) killing = true;
                if (action == RunAction::terminate) terminating = true;
                if (action == RunAction::ask_again) {
                    EXPECT_TRUE(gone && !collecting) << seed;
                    EXPECT_EQ(run.cut(), Cut::none) << seed;
                    killing = gone = terminating = false;  // another tree
                    ++asked;
                }
                if (action == RunAction::collect) {
                    EXPECT_TRUE(gone) << seed;
                    collecting = true;
                }
                if (action == RunAction::finish) {
                    EXPECT_TRUE(gone) << seed;
                    ++finished;
                }
            }
        };
        for (int i = 0; i < 12; ++i) {
            feed(all[random() % all.size()]);
            if (killing && !gone && random() % 3 == 0) {
                gone = true;
                if (random() % 2) feed(owes_verdict);
                feed(tree_gone);
            }
            if (collecting && random() % 3 == 0) feed(collected);
        }
        // To its end; where that is another start, to the end of that one.
        for (int end = 0; end < 2; ++end) {
            if (terminating) feed(grace_over);
            feed(agent_ended);
            if (killing && !gone) {
                gone = true;
                feed(tree_gone);
            }
            feed(streams_closed);
            feed(collected);
        }
        EXPECT_EQ(finished, 1) << seed;
        EXPECT_LE(asked, 1) << seed;
    }
}

TEST(RunLifecycle, AnAgentThatOwesItsVerdictIsAskedOnceAndOnlyWhenNobodyWantsAnEnd) {
    using enum RunEvent;
    RunLifecycle run;
    for (RunEvent event : {started, agent_ended, owes_verdict, streams_closed}) run.on(event);
    EXPECT_THAT(run.on(tree_gone), ElementsAre(RunAction::ask_again));
    EXPECT_EQ(run.state(), RunLifecycle::State::starting);
    for (RunEvent event : {started, agent_ended, owes_verdict, streams_closed}) run.on(event);
    EXPECT_THAT(run.on(tree_gone), ElementsAre(RunAction::collect)) << "once";

    RunLifecycle stopped;
    for (RunEvent event : {started, agent_ended, stop_requested, owes_verdict, streams_closed}) stopped.on(event);
    EXPECT_THAT(stopped.on(tree_gone), ElementsAre(RunAction::collect));

    RunLifecycle late;
    for (RunEvent event : {started, timed_out, agent_ended, owes_verdict, streams_closed}) late.on(event);
    EXPECT_THAT(late.on(tree_gone), ElementsAre(RunAction::collect));
}

TEST(RunLifecycle, TheFirstCutCounts) {
    RunLifecycle run;
    run.on(RunEvent::started);
    EXPECT_THAT(run.on(RunEvent::timed_out), ElementsAre(RunAction::terminate));
    EXPECT_TRUE(run.on(RunEvent::halted).empty());
    EXPECT_TRUE(run.on(RunEvent::stop_requested).empty());
    EXPECT_EQ(run.cut(), Cut::timeout);
    EXPECT_THAT(run.on(RunEvent::grace_over), ElementsAre(RunAction::kill_tree));
}

TEST(RunLifecycle, StopWhileCollectingCancels) {
    RunLifecycle run;
    for (RunEvent event : {RunEvent::started, RunEvent::agent_ended, RunEvent::streams_closed, RunEvent::tree_gone})
        run.on(event);
    EXPECT_EQ(run.state(), RunLifecycle::State::collecting);
    EXPECT_THAT(run.on(RunEvent::stop_requested), ElementsAre(RunAction::abort_collect, RunAction::finish));
    EXPECT_EQ(run.cut(), Cut::cancelled);
    EXPECT_TRUE(run.on(RunEvent::collected).empty());
}

TEST(RequestLedger, RunsEachOnceInOrder) {
    using Ledger = RequestLedger<int>;
    Ledger ledger;
    EXPECT_EQ(ledger.offer("a", 1), Ledger::Answer::run);
    EXPECT_EQ(ledger.offer("a", 1), Ledger::Answer::ignore);
    EXPECT_EQ(ledger.offer("b", 2), Ledger::Answer::ignore);
    EXPECT_EQ(ledger.offer("b", 2), Ledger::Answer::ignore);
    EXPECT_FALSE(ledger.next());
    ledger.finished("a");
    EXPECT_EQ(ledger.offer("a", 1), Ledger::Answer::republish);
    EXPECT_EQ(ledger.next(), 2);
    ledger.finished("b");
    EXPECT_FALSE(ledger.next());
    ledger.stop();
    EXPECT_EQ(ledger.offer("c", 3), Ledger::Answer::ignore);
    EXPECT_FALSE(ledger.next());
}

TEST(EventBuffer, DropsTheOldestAndCounts) {
    EventBuffer buffer(3, 10);
    for (const char* event : {"1", "2", "3", "4"}) buffer.push(event);
    buffer.push("12345678");
    EXPECT_EQ(buffer.take_lost(), 2u);
    EXPECT_EQ(buffer.take_lost(), 0u);
    std::vector<std::string> out;
    buffer.drain([&](std::string event) { out.push_back(std::move(event)); });
    EXPECT_THAT(out, ElementsAre("3", "4", "12345678"));
    EXPECT_TRUE(buffer.empty());
}

// As Redis does it: an entry is added, then the oldest go until `keep` are left.
struct TrimmedStream {
    std::deque<std::size_t> sizes;
    std::size_t bytes = 0;
    void add(std::size_t size, std::size_t keep) {
        sizes.push_back(size);
        bytes += size;
        for (; sizes.size() > keep; sizes.pop_front()) bytes -= sizes.front();
    }
};

TEST(StreamBudget, LargeEventsDoNotMakeALargeStream) {
    constexpr std::size_t kBudget = 1u << 20, kLargest = 64u << 10, kMost = 10000;
    TrimmedStream stream;
    std::size_t worst = 0;
    // A wrapper after the other writes what agents like: only large, only small, large among small.
    for (int wrapper = 0; wrapper < 6; ++wrapper) {
        StreamBudget budget(kBudget, kLargest, kMost);
        for (std::size_t i = 0; i < 2000; ++i) {
            const std::size_t size = wrapper % 3 == 0   ? kLargest
                                     : wrapper % 3 == 1 ? 100
                                     : i % 50 == 0      ? kLargest
                                                        : 300;
            stream.add(size, budget.keep_with(size));
            worst = std::max(worst, stream.bytes);
        }
        EXPECT_GE(stream.sizes.size(), kBudget / kLargest / 2) << "something of them is kept";
    }
    EXPECT_LE(worst, kBudget + kLargest);
}

TEST(StreamBudget, SmallEventsAreAllKeptUpToTheirNumber) {
    StreamBudget budget(16u << 20, 256u << 10, 10000);
    TrimmedStream stream;
    for (std::size_t i = 0; i < 9000; ++i) stream.add(500, budget.keep_with(500));
    EXPECT_EQ(stream.sizes.size(), 9000u);
    for (std::size_t i = 0; i < 9000; ++i) stream.add(500, budget.keep_with(500));
    EXPECT_EQ(stream.sizes.size(), 10000u);
}

TEST(Oom, ReadsBothCgroupVersions) {
    EXPECT_EQ(parse_oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), 3);
    EXPECT_EQ(parse_oom_kills("low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n"), 1);
    EXPECT_FALSE(parse_oom_kills("under_oom 0\n"));
}

TEST(CommandsOf, ARequestNarrowsAndNeverWidens) {
    contracts::WrapperConfig config;
    config.allowed_commands = {"project.*", "respond"};
    EXPECT_THAT(commands_of(config, nullptr), ElementsAre("project.*", "respond"));
    Job job;
    EXPECT_THAT(commands_of(config, &job), ElementsAre("project.*", "respond")) << "a Product Owner's names none";
    job.developer.emplace();
    EXPECT_THAT(commands_of(config, &job), ElementsAre("project.*", "respond"));
    job.developer->allowed_commands = {"project.get", "result"};
    EXPECT_THAT(commands_of(config, &job), ElementsAre("project.get")) << "the configuration has no result";
    EXPECT_EQ(agent_environment(config, job, "").at("ALLOWED_COMMANDS"), "project.get");
    job.developer->allowed_commands = {"*"};
    EXPECT_THAT(commands_of(config, &job), ElementsAre("project.*", "respond"));
    job.developer->allowed_commands.emplace();
    EXPECT_TRUE(commands_of(config, &job).empty());
}

TEST(AgentSocketLine, Answers) {
    std::optional<contracts::AgentVerdict> taken;
    auto take = [&](contracts::AgentVerdict verdict) {
        taken = std::move(verdict);
        return std::string();
    };
    const std::string good = R"({"command":"result","verdict":{"status":"success","summary":"s","data":{"a":1}}})";
    EXPECT_EQ(answer_agent_line(good, {"result"}, take), R"({"success":true})");
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->data.at("a").as_int64(), 1);
    EXPECT_THAT(answer_agent_line(good, {"respond"}, take), HasSubstr("permission_denied"));
    EXPECT_THAT(answer_agent_line("nonsense", {"*"}, take), HasSubstr("invalid JSON"));
    EXPECT_THAT(answer_agent_line(R"({"command":"rm"})", {"*"}, take), HasSubstr("rm"));
    EXPECT_THAT(answer_agent_line(R"({"command":"result","verdict":{"status":"x","summary":"s"}})", {"*"}, take),
                HasSubstr("verdict.status"));
    EXPECT_THAT(answer_agent_line(good, {"*"}, [](contracts::AgentVerdict) { return std::string("too late"); }),
                HasSubstr("too late"));
}

TEST(InputMessage, OlderWritersAndErrors) {
    redis::StreamEntry entry{
        "s", "1-0", {{"request_id", "r1"}, {"task_id", "t"}, {"project_id", "p"}, {"prompt", "12"}, {"timeout", "5"}}};
    auto job = read_job(contracts::WorkerType::developer, contracts::input_text(entry.fields));
    ASSERT_TRUE(job) << job.error().message;
    EXPECT_EQ(job->prompt, "12");
    EXPECT_EQ(job->timeout_seconds, 5);
    auto bad = [](std::string text) {
        auto read = read_job(contracts::WorkerType::developer, text);
        return read ? std::string("read") : read.error().message;
    };
    EXPECT_THAT(bad("x"), HasSubstr("JSON"));
    EXPECT_THAT(bad(R"({"task_id":"t","project_id":"p"})"), HasSubstr("prompt"));
    EXPECT_THAT(bad(R"({"request_id":"../x","task_id":"t","project_id":"p","prompt":""})"), HasSubstr("request_id"));
    EXPECT_THAT(bad(R"({"task_id":"t","project_id":"p","prompt":"","session_id":"--help"})"), HasSubstr("session_id"));
    EXPECT_THAT(bad(R"({"task_id":"t","project_id":"p","prompt":"","timeout":0})"), HasSubstr("timeout"));
    auto answer = read_job(contracts::WorkerType::po, R"({"request_id":"r","user_id":7,"prompt":"hi"})");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->product_owner->user_id, 7);
}

TEST(RequestId, OnlySafeFileNames) {
    EXPECT_TRUE(is_request_id("0b5f6b7e-6f0a-4c5e-9d3f-1c2d3e4f5a6b"));
    for (const char* bad : {"", ".", "../a", "a/b", "a b"}) EXPECT_FALSE(is_request_id(bad)) << bad;
    EXPECT_FALSE(is_request_id(std::string(129, 'a')));
}

contracts::WrapperConfig claude_config() {
    contracts::WrapperConfig config;
    config.worker_id = "w1";
    config.worker_type = contracts::WorkerType::developer;
    config.agent_type = contracts::AgentType::claude;
    config.agent_program = "/opt/codegen/agents/claude/claude";
    config.instructions = "be good";
    config.allowed_commands = {"result", "respond"};
    config.env_vars = {{"EXTRA", "1"}, {"WORKER_ID", "forged"}, {"HOME", "/"}};
    return config;
}

TEST(AgentPlan, Claude) {
    auto config = claude_config();
    config.model = "m";
    Job job;
    job.developer = contracts::DeveloperWorkerInput{};
    job.developer->task_id = "t1";
    job.developer->budget_usd = 1.5;
    const LaunchPlan plan = agent_plan(config, job, "11111111-1111-4111-8111-111111111111");
    EXPECT_THAT(plan.argv,
                ElementsAre("/opt/codegen/agents/claude/claude", "-p", "--output-format", "stream-json", "--verbose",
                            "--dangerously-skip-permissions", "--model", "m", "--max-budget-usd", "1.5"));
    ASSERT_TRUE(plan.session);
    EXPECT_EQ(plan.session->folder, "/home/agent/.claude/projects/-workspace");
    EXPECT_EQ(plan.session->ending, "11111111-1111-4111-8111-111111111111.jsonl");
    ASSERT_EQ(plan.files.size(), 1u);
    EXPECT_EQ(plan.files[0].path, "/home/agent/.claude/CLAUDE.md");
    const auto& environment = plan.environment;
    EXPECT_EQ(environment.at("WORKER_ID"), "w1");
    EXPECT_EQ(environment.at("HOME"), "/home/agent");
    EXPECT_EQ(environment.at("EXTRA"), "1");
    EXPECT_EQ(environment.at("TASK_ID"), "t1");
    EXPECT_EQ(environment.at("ALLOWED_COMMANDS"), "result,respond");
    EXPECT_EQ(environment.at("ANTHROPIC_BASE_URL"), "http://127.0.0.1:18790/model/anthropic");
    EXPECT_FALSE(environment.contains("REDIS_URL"));
}

TEST(CheckConfig, NamesTheField) {
    EXPECT_TRUE(check_config(claude_config()));
    auto config = claude_config();
    config.agent_program.reset();
    EXPECT_EQ(check_config(config).error().path, "agent_program");
    config.agent_type = contracts::AgentType::custom;
    EXPECT_EQ(check_config(config).error().path, "command");
    config.agent_type = contracts::AgentType::codex;
    EXPECT_EQ(check_config(config).error().path, "agent_program");
}

TEST(Agents, EveryTypeIsInTheRegistry) {
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<contracts::AgentType>>(
        [](auto enumerator) { EXPECT_NE(agent_of(enumerator.value).stream({}), nullptr) << enumerator.name; });
}

TEST(KnownSession, IsAFileSomewhereBelowTheFolder) {
    testing::TempDirectory directory;
    LaunchPlan plan;
    EXPECT_FALSE(known_session(plan));
    plan.session = PlannedSession{(directory.path() / "sessions").string(), "-id1.jsonl", {}, {}};
    EXPECT_FALSE(known_session(plan)) << "no folder";
    std::filesystem::create_directories(directory.path() / "sessions/2026/11/25/deeper");
    EXPECT_FALSE(known_session(plan));
    std::ofstream(directory.path() / "sessions/2026/11/25/rollout-x-id1.jsonl") << "{}";
    EXPECT_TRUE(known_session(plan));
    plan.session->ending = "-id2.jsonl";
    EXPECT_FALSE(known_session(plan));
    plan.session->ending = "";
    EXPECT_FALSE(known_session(plan)) << "no id";
}

TEST(SandboxCommand, ShowsWhatItMustAndNothingElse) {
    auto config = claude_config();
    config.sandbox = contracts::SandboxConfig{};
    config.sandbox->wrapper_program = "/p/worker-wrapper";
    config.sandbox->mounts = {{"/state/bin/h", "/opt/codegen/bin"}};
    config.gateway_directory = "/state/w/gateway";
    config.home = "/state/w/home";
    config.workspace = "/state/w/workspace";
    SandboxDescriptors descriptors;
    descriptors.control = 5;
    descriptors.report = 6;
    descriptors.seccomp = 7;
    const auto argv = sandbox_command(config, descriptors);
    EXPECT_THAT((std::vector<std::string>{"--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
                                          "--unshare-cgroup", "--unshare-net", "--die-with-parent", "--new-session",
                                          "--as-pid-1", "--seccomp"}),
                IsSubsetOf(argv));
    std::string text;
    for (const auto& argument : argv) text += argument + " ";
    EXPECT_THAT(text, HasSubstr("--ro-bind /state/w/gateway /run/codegen --tmpfs /run/codegen/wrapper"));
    EXPECT_THAT(text, HasSubstr("--ro-bind /state/bin/h /opt/codegen/bin"));
    EXPECT_THAT(
        text, HasSubstr("--remount-ro / --chdir /workspace --seccomp 7 -- /opt/codegen/init/worker-wrapper init 5 6"));
    EXPECT_THAT(text, ::testing::Not(HasSubstr("/state/w/state")));
}

}  // namespace
}  // namespace codegen::wrapper
