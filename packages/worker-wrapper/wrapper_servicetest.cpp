// The built worker-wrapper, a real Redis, a real bubblewrap or container, and bash as the agent.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "packages/worker-wrapper/harness.hpp"
#include "packages/worker-wrapper/spawn.hpp"
#include "shared/base/ids.hpp"

namespace codegen::wrapper {
namespace {

using contracts::FailureReason;
using contracts::LifecycleKind;
using contracts::ResultStatus;
using ::testing::HasSubstr;

class Worker : public ::testing::TestWithParam<Form> {};

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

// A duration that no other process of this machine has: finds what an agent left behind.
std::string unusual_seconds() { return "1" + std::to_string(100000 + std::stoul(random_token(2), nullptr, 16)); }

TEST_P(Worker, RunsAndBundlesTheCommit) {
    TestWorker worker(GetParam(),
                      std::string("cat > got; git add got; git commit -qm work; echo oops >&2; ") + kSuccess);
    worker.send("r1", "the prompt");  // before it lives: it reads from the beginning
    worker.start();
    const auto output = worker.expect_result("r1");
    EXPECT_EQ(output.status, ResultStatus::success) << output.error.value_or("");
    EXPECT_EQ(output.worker_id, "w1");
    EXPECT_EQ(output.task_id, "t1");
    ASSERT_TRUE(output.verdict);
    ASSERT_TRUE(output.commit_sha);
    EXPECT_EQ(contents(worker.path("workspace/got")), "the prompt");
    auto file = json::parse<contracts::ResultFile>(contents(worker.path("state/result-r1.json")));
    ASSERT_TRUE(file);
    EXPECT_EQ(file->head_sha, output.commit_sha);
    EXPECT_EQ(file->exit_code, 0);
    ASSERT_TRUE(file->bundle) << file->bundle_error.value_or("");
    EXPECT_THAT(shell("git bundle list-heads " + worker.path("state/" + *file->bundle)),
                HasSubstr(*output.commit_sha + " HEAD"));
    ASSERT_TRUE(wait_until([&] { return worker.lifecycle().size() == 2; }));
    EXPECT_EQ(worker.lifecycle()[0].event, LifecycleKind::started);
    EXPECT_EQ(worker.lifecycle()[1].event, LifecycleKind::completed);
    const auto events = worker.events();
    for (std::size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].seq, static_cast<std::int64_t>(i) + 1);
    EXPECT_TRUE(std::ranges::any_of(
        events, [](const auto& e) { return e.kind == contracts::AgentEventKind::stderr_ && e.text == "oops"; }));
    EXPECT_EQ(worker.redis.entries("worker:w1:output").size(), 1u);
    const auto ttl = worker.redis.command({"TTL", "worker:heartbeat:w1"}).integer;
    EXPECT_GT(ttl, 0);
    EXPECT_LE(ttl, 30);
    EXPECT_TRUE(wait_until([&] {
        return worker.redis.command({"XPENDING", "worker:w1:input", "worker-wrapper"}).elements.at(0).integer == 0;
    }));
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
    EXPECT_EQ(worker.lifecycle().back().event, LifecycleKind::stopped);
}

TEST_P(Worker, EventsComeWhileTheAgentRuns) {
    TestWorker worker(GetParam(), std::string("echo first; while [ ! -e go ]; do sleep 0.01; done; ") + kSuccess);
    worker.start();
    worker.send("r1");
    ASSERT_TRUE(wait_until([&] { return worker.has_event("first"); }));
    EXPECT_FALSE(worker.result("r1"));
    std::ofstream(worker.path("workspace/go"));
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
}

TEST_P(Worker, TimeoutLeavesNothingAlive) {
    const std::string time = unusual_seconds();
    TestWorker worker(GetParam(), "trap '' TERM; for i in 1 2 3; do setsid bash -c \"trap '' TERM; sleep " + time +
                                      " & setsid setsid sleep " + time + "; wait\" & done; echo up; wait; sleep " +
                                      time);
    worker.start();
    worker.send("r1", "x", 1);
    ASSERT_TRUE(wait_until([&] { return worker.has_event("up"); }));
    const auto output = worker.expect_result("r1");
    EXPECT_EQ(TestWorker::processes_with(time), 0);  // at once: the result comes after their end
    EXPECT_EQ(output.status, ResultStatus::timeout);
    EXPECT_EQ(output.reason, FailureReason::timeout);
    EXPECT_GE(output.duration_ms, 1000);
}

TEST_P(Worker, WhatTheAgentLeavesRunningDies) {
    const std::string time = unusual_seconds();
    TestWorker worker(GetParam(),
                      "setsid sleep " + time + " >/dev/null 2>&1 & setsid sleep " + time + " & " + kSuccess);
    worker.start();
    worker.send("r1");
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
    EXPECT_EQ(TestWorker::processes_with(time), 0);
}

TEST_P(Worker, TermGetsAChanceBeforeKill) {
    TestWorker worker(GetParam(), "trap 'echo bye; exit 0' TERM; echo up; while true; do sleep 0.01; done");
    worker.config.kill_grace_ms = 20000;
    worker.start();
    worker.send("r1", "x", 1);
    EXPECT_EQ(worker.expect_result("r1").reason, FailureReason::timeout);
    EXPECT_TRUE(worker.has_event("bye"));
}

TEST_P(Worker, ReasonsOfBadEnds) {
    TestWorker worker(GetParam(), "cat > p; bash p");
    worker.start();
    const std::vector<std::tuple<std::string, ResultStatus, FailureReason>> table{
        {"exit 0", ResultStatus::error, FailureReason::no_verdict},
        {"echo bad >&2; exit 3", ResultStatus::error, FailureReason::agent_failure},
        {"kill -9 $$", ResultStatus::error, FailureReason::killed},
        {R"(echo '<result>{"status":"failure","summary":"cannot"}</result>')", ResultStatus::failed,
         FailureReason::agent_failure},
    };
    int number = 0;
    for (const auto& [script, status, reason] : table) {
        const std::string id = "r" + std::to_string(++number);
        worker.send(id, script);
        const auto output = worker.expect_result(id);
        EXPECT_EQ(output.status, status) << script << ": " << output.error.value_or("");
        EXPECT_EQ(output.reason, reason) << script << ": " << output.error.value_or("");
    }
    EXPECT_THAT(*worker.expect_result("r2").error, HasSubstr("exit 3: bad"));
}

TEST_P(Worker, AnAgentThatCannotStart) {
    TestWorker worker(GetParam(), "");
    worker.config.command = {"/nowhere/agent"};
    worker.start();
    worker.send("r1");
    const auto output = worker.expect_result("r1");
    EXPECT_EQ(output.reason, FailureReason::infrastructure);
    EXPECT_THAT(*output.error, HasSubstr("/nowhere/agent: No such file"));
}

TEST_P(Worker, AMegabytePromptByteForByte) {
    TestWorker worker(GetParam(), std::string("sleep 0.2; cat > got; ") + kSuccess);
    worker.start();
    std::string prompt = "$(x) `y` \"q\" 'z' \\ \n\t\x01 \xC3\xA9";
    while (prompt.size() < (1u << 20) + 4321) prompt += random_token(32) + "\n";
    worker.send("r1", prompt);
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
    EXPECT_TRUE(contents(worker.path("workspace/got")) == prompt);
}

TEST_P(Worker, AnAgentThatIgnoresItsPrompt) {
    TestWorker worker(GetParam(), std::string("exec <&-; ") + kSuccess);
    worker.start();
    worker.send("r1", std::string(3 << 20, 'x'));
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
}

TEST_P(Worker, StopCancelsTheRun) {
    const std::string time = unusual_seconds();
    TestWorker worker(GetParam(), "setsid sleep " + time + " & echo up; sleep " + time);
    worker.start();
    worker.send("r1");
    ASSERT_TRUE(wait_until([&] { return worker.has_event("up"); }));
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
    EXPECT_EQ(TestWorker::processes_with(time), 0);
    EXPECT_EQ(worker.expect_result("r1").reason, FailureReason::cancelled);
    EXPECT_EQ(worker.lifecycle().back().event, LifecycleKind::stopped);
    EXPECT_TRUE(std::filesystem::exists(worker.path("state/result-r1.json")));
}

// The gateway's end of control.sock: what the wrapper says, a line each, is printed; one line is said at each
// connection.
class ControlEnd {
  public:
    ControlEnd(const TestWorker& worker, const std::string& say) {
        output_ = worker.path("control.log");
        SpawnSpec server;
        server.argv = {"python3", "-c", R"(
import os, socket, sys
if os.path.exists(sys.argv[1]): os.unlink(sys.argv[1])
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666); s.listen()
while True:
    c, _ = s.accept()
    for line in c.makefile("r"):
        if "budget" in line: c.sendall(sys.argv[3].encode() + b"\n")
        with open(sys.argv[2], "a") as log: log.write(line)
)", worker.path("gateway/wrapper/control.sock"), output_, say};
        server.environment = {{"PATH", "/usr/bin:/bin"}};
        server.die_with_parent = true;
        auto pid = spawn(server);
        EXPECT_TRUE(pid) << pid.error().message;
        pid_ = pid.value_or(-1);
    }
    ~ControlEnd() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    std::string heard() const {
        std::ifstream file(output_);
        return {std::istreambuf_iterator<char>(file), {}};
    }

  private:
    std::string output_;
    pid_t pid_ = -1;
};

TEST_P(Worker, TheGatewayEndsARunThatMayNotGoOn) {
    const std::string time = unusual_seconds();
    TestWorker worker(GetParam(), "setsid sleep " + time + " & echo up; sleep " + time);
    const ControlEnd gateway(worker, R"({"run":"r1","stop":"budget","error":"0.1200 USD, the budget is 0.1 USD"})");
    worker.start();
    worker.send_raw(R"({"request_id":"r1","task_id":"t1","project_id":"p1","prompt":"x","budget_usd":0.1})");
    const auto result = worker.expect_result("r1");
    EXPECT_EQ(result.status, ResultStatus::error);
    EXPECT_EQ(result.reason, FailureReason::budget);
    EXPECT_THAT(result.error.value_or(""), HasSubstr("0.1200 USD"));
    EXPECT_EQ(TestWorker::processes_with(time), 0);
    ASSERT_TRUE(wait_until([&] { return gateway.heard().contains("ended"); }));
    EXPECT_THAT(gateway.heard(), ::testing::EndsWith("{\"run\":\"r1\",\"budget_usd\":1E-1}\n{\"ended\":\"r1\"}\n"));
}

TEST_P(Worker, TheGatewayHearsWhatTheRequestPermits) {
    TestWorker worker(GetParam(), kSuccess);
    worker.config.allowed_commands = {"project.*", "result"};
    const ControlEnd gateway(worker, "");
    worker.start();
    worker.send_raw(
        R"({"request_id":"r1","task_id":"t1","project_id":"p1","prompt":"x","allowed_commands":["*","project.get"]})");
    worker.send_raw(
        R"({"request_id":"r2","task_id":"t1","project_id":"p1","prompt":"x","allowed_commands":["result","deploy.start"]})");
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
    EXPECT_EQ(worker.expect_result("r2").status, ResultStatus::success);
    ASSERT_TRUE(wait_until([&] { return gateway.heard().contains(R"({"ended":"r2"})"); }));
    EXPECT_THAT(gateway.heard(), HasSubstr(R"({"run":"r1","allowed_commands":["project.*","result","project.get"]})"));
    EXPECT_THAT(gateway.heard(), HasSubstr(R"({"run":"r2","allowed_commands":["result"]})"));
}

TEST_P(Worker, AGatewayThatIsBackHearsWhatItsPredecessorHadCounted) {
    TestWorker worker(GetParam(), "echo up; while [ ! -e go ]; do sleep 0.05; done; " + std::string(kSuccess));
    auto gateway = std::make_unique<ControlEnd>(worker, R"({"run":"r1","tokens":1234,"usd":0.5})");
    worker.start();
    worker.send_raw(R"({"request_id":"r1","task_id":"t1","project_id":"p1","prompt":"x","budget_usd":2})");
    ASSERT_TRUE(wait_until([&] { return worker.has_event("up") && gateway->heard().contains("r1"); }));
    gateway.reset();
    // A word about another run is not for this one.
    gateway = std::make_unique<ControlEnd>(worker, R"({"run":"r0","stop":"budget","error":"x"})");
    ASSERT_TRUE(wait_until([&] { return gateway->heard().contains("1.234E3"); })) << gateway->heard();
    EXPECT_THAT(gateway->heard(), HasSubstr("\"usd\":5E-1"));
    shell("touch " + worker.path("workspace/go"));
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
}

TEST_P(Worker, MalformedInputIsADeadLetter) {
    TestWorker worker(GetParam(), kSuccess);
    worker.start();
    const std::vector<std::pair<std::string, std::string>> bad{
        {"not json \x01", "JSON"},
        {R"({"request_id":"x","task_id":"t","project_id":"p"})", "prompt"},
        {R"({"task_id":"t","project_id":"p","prompt":3})", "prompt"},
        {R"({"request_id":"../../x","task_id":"t","project_id":"p","prompt":""})", "request_id"}};
    for (const auto& [data, path] : bad) worker.send_raw(data);
    worker.send("r1");
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
    const auto letters = worker.redis.entries("worker:w1:input:dlq");
    ASSERT_EQ(letters.size(), bad.size());
    for (std::size_t i = 0; i < bad.size(); ++i) {
        EXPECT_EQ(*letters[i].field("original_message"), bad[i].first);
        EXPECT_THAT(*letters[i].field("error_context"), HasSubstr(bad[i].second));
        EXPECT_THAT(*letters[i].field("error_context"), HasSubstr("permanent"));
    }
    EXPECT_TRUE(wait_until([&] {
        return worker.redis.command({"XPENDING", "worker:w1:input", "worker-wrapper"}).elements.at(0).integer == 0;
    }));
}

TEST_P(Worker, TheSameRequestRunsOnceAndIsAnsweredAgain) {
    TestWorker worker(GetParam(),
                      std::string("echo run >> runs; echo up; while [ ! -e go ]; do sleep 0.01; done; ") + kSuccess);
    worker.start();
    worker.send("r1");
    worker.send("r1");
    worker.send("r2");
    ASSERT_TRUE(wait_until([&] { return worker.has_event("up"); }));
    worker.send("r1");
    std::ofstream(worker.path("workspace/go"));
    worker.expect_result("r2");
    EXPECT_EQ(worker.results("r1"), 1u);
    worker.send("r1");
    EXPECT_TRUE(wait_until([&] { return worker.results("r1") == 2; }));
    EXPECT_EQ(contents(worker.path("workspace/runs")), "run\nrun\n");
}

// The next request comes at the very moment in which a run ends.
TEST_P(Worker, RequestsOneAfterTheOtherWithoutAPause) {
    TestWorker worker(GetParam(), kSuccess);
    worker.config.base_sha.reset();
    worker.start();
    for (int i = 1; i <= 60; ++i) {
        const std::string id = "r" + std::to_string(i);
        worker.send(id);
        ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(worker.path("state/result-" + id + ".json")); }))
            << id;
    }
    EXPECT_EQ(worker.expect_result("r60").status, ResultStatus::success);
}

TEST_P(Worker, RedisDiesAndComesBackEmptyWhileTheAgentRuns) {
    TestWorker worker(GetParam(),
                      std::string("echo up; while [ ! -e go ]; do sleep 0.01; done; echo later; ") + kSuccess);
    worker.start();
    worker.send("r1");
    ASSERT_TRUE(wait_until([&] { return worker.has_event("up"); }));
    worker.redis.kill();
    worker.redis.start();
    worker.send("r1");            // as the workflow does
    ASSERT_TRUE(wait_until([&] {  // the group is there again and the repeat is seen
        return worker.redis.command({"XINFO", "GROUPS", "worker:w1:input"}).elements.size() == 1;
    }));
    std::ofstream(worker.path("workspace/go"));
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
    EXPECT_TRUE(worker.has_event("later"));
    EXPECT_EQ(worker.results("r1"), 1u);
}

TEST_P(Worker, RedisIsAwayBetweenFileAndPublication) {
    TestWorker worker(GetParam(), std::string("echo up; while [ ! -e go ]; do sleep 0.01; done; ") + kSuccess);
    worker.start();
    worker.send("r1");
    ASSERT_TRUE(wait_until([&] { return worker.has_event("up"); }));
    worker.redis.kill();
    std::ofstream(worker.path("workspace/go"));
    ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(worker.path("state/result-r1.json")); }));
    worker.redis.start();
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
}

TEST_P(Worker, KilledBetweenFileAndPublication) {
    TestWorker worker(GetParam(),
                      std::string("echo run >> runs; echo up; while [ ! -e go ]; do sleep 0.01; done; ") + kSuccess);
    worker.start();
    worker.send("r1");
    ASSERT_TRUE(wait_until([&] { return worker.has_event("up"); }));
    worker.redis.kill();
    std::ofstream(worker.path("workspace/go"));
    ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(worker.path("state/result-r1.json")); }));
    worker.die();
    worker.redis.start();
    worker.start();
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
    worker.send("r1");
    EXPECT_TRUE(wait_until([&] { return worker.results("r1") == 2; }));
    EXPECT_EQ(contents(worker.path("workspace/runs")), "run\n");
}

TEST_P(Worker, ARequestThatKillsItsWorkerIsGivenUp) {
    TestWorker worker(GetParam(), "echo run >> runs; cat >/dev/null; while true; do sleep 0.01; done");
    worker.start();
    worker.send("r1");
    for (int times = 1; times <= 3; ++times) {
        ASSERT_TRUE(wait_until([&] {
            return std::ranges::count(contents(worker.path("workspace/runs")), '\n') == times;
        })) << times;
        worker.die();
        worker.start();
    }
    ASSERT_TRUE(wait_until([&] { return worker.redis.entries("worker:w1:input:dlq").size() == 1; }));
    EXPECT_EQ(contents(worker.path("workspace/runs")), "run\nrun\nrun\n");
}

TEST_P(Worker, ABundleOverTheLimitIsAnErrorWithItsFigures) {
    TestWorker worker(GetParam(),
                      std::string("head -c 300000 /dev/urandom > big; git add big; git commit -qm big; ") + kSuccess);
    worker.config.bundle_limit = 100000;
    worker.start();
    worker.send("r1");
    worker.expect_result("r1");
    auto file = json::parse<contracts::ResultFile>(contents(worker.path("state/result-r1.json")));
    ASSERT_TRUE(file);
    EXPECT_FALSE(file->bundle);
    EXPECT_THAT(file->bundle_error.value_or(""), HasSubstr("the limit is 100000"));
    EXPECT_THAT(file->bundle_error.value_or(""), HasSubstr("300"));
    EXPECT_FALSE(std::filesystem::exists(worker.path("state/bundle-r1.bundle")));
    EXPECT_FALSE(std::filesystem::exists(worker.path("state/.bundle-r1.bundle")));
}

TEST_P(Worker, AHostileRepositoryRunsNothingInTheBundle) {
    TestWorker worker(
        GetParam(),
        std::string("git config core.fsmonitor 'touch /workspace/pwned'; git config core.hooksPath hooks; mkdir hooks; "
                    "echo x > f; git add f; git -c core.hooksPath=/dev/null -c core.fsmonitor=false commit -qm x; "
                    "rm -f pwned; rm -rf .git/objects/info; git config core.alternateRefsCommand 'touch pwned'; ") +
            kSuccess);
    worker.start();
    worker.send("r1");
    worker.expect_result("r1");
    EXPECT_FALSE(std::filesystem::exists(worker.path("workspace/pwned")));
    TestWorker broken(GetParam(), std::string("rm -rf .git; ") + kSuccess);
    broken.start();
    broken.send("r1");
    EXPECT_EQ(broken.expect_result("r1").status, ResultStatus::success);
    auto file = json::parse<contracts::ResultFile>(contents(broken.path("state/result-r1.json")));
    ASSERT_TRUE(file);
    EXPECT_THAT(file->bundle_error.value_or(""), HasSubstr("git rev-parse HEAD"));
}

TEST_P(Worker, TheAgentSeesNoSecretPlaces) {
    TestWorker worker(
        GetParam(),
        std::string(
            "id -u > who; cat /run/codegen/wrapper/redis.sock 2>&1; ls /run/codegen/wrapper 2>&1 | wc -l; "
            "cat /proc/1/environ > environ 2>/dev/null; ls /proc/self/fd > fds; grep -i cap /proc/self/status > caps; "
            "test -S /run/codegen/agent/agent.sock && echo socket; ") +
            kSuccess);
    worker.config.instructions = "be good";
    worker.start();
    worker.send("r1");
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
    EXPECT_EQ(contents(worker.path("workspace/who")), std::to_string(worker.config.agent_uid) + "\n");
    EXPECT_EQ(contents(worker.path("workspace/environ")), "");
    EXPECT_EQ(contents(worker.path("workspace/fds")), "0\n1\n2\n3\n");  // 3 is the listing's own
    EXPECT_THAT(contents(worker.path("workspace/caps")), HasSubstr("CapEff:\t0000000000000000"));
    EXPECT_TRUE(worker.has_event("socket"));
    EXPECT_EQ(contents(worker.path("home/AGENTS.md")), "be good");
}

TEST_P(Worker, TheConfigurationMustBeRight) {
    TestWorker worker(GetParam(), kSuccess);
    worker.config.command.clear();
    worker.start();
    EXPECT_EQ(worker.wait(), 3);
    EXPECT_THAT(worker.log(), HasSubstr("command: empty"));
}

// A script in claude's place: what it is given, and its stream read to the end. The real one: tests/e2e.
TEST_P(Worker, ClaudeIsCalledAndItsConversationResumed) {
    TestWorker worker(GetParam(), "");
    std::ofstream(worker.path("bin/claude")) << R"(#!/bin/bash
printf '%s ' "$@" >> args; echo >> args
cat > prompt
cp ~/.claude/CLAUDE.md instructions
while [ $# -gt 1 ]; do case "$1" in --session-id|--resume) id=$2;; esac; shift; done
mkdir -p ~/.claude/projects/-workspace; touch ~/.claude/projects/-workspace/$id.jsonl
echo '{"type":"system","subtype":"init","model":"m","session_id":"'$id'"}'
echo '{"type":"assistant","message":{"id":"1","content":[{"type":"text","text":"<result>{\"status\":\"success\",\"summary\":\"s\"}</result>"}]}}'
echo '{"type":"result","subtype":"success","is_error":false,"session_id":"'$id'","num_turns":2,"usage":{"input_tokens":7,"output_tokens":3}}'
)";
    shell("chmod 755 " + worker.path("bin/claude"));
    worker.config.agent_type = contracts::AgentType::claude;
    worker.config.agent_program = "/opt/codegen/bin/claude";
    worker.config.instructions = "the instructions";
    if (worker.config.sandbox) worker.config.sandbox->mounts = {{worker.path("bin"), "/opt/codegen/bin"}};
    worker.start();
    worker.send("r1", "the prompt");
    const auto first = worker.expect_result("r1");
    EXPECT_EQ(first.status, ResultStatus::success) << first.error.value_or("");
    EXPECT_EQ(first.usage.value_or(contracts::AgentUsage{}).input_tokens, 7);
    ASSERT_TRUE(first.session_id);
    EXPECT_EQ(contents(worker.path("workspace/prompt")), "the prompt");
    EXPECT_EQ(contents(worker.path("workspace/instructions")), "the instructions");
    EXPECT_THAT(contents(worker.path("workspace/args")), HasSubstr("--session-id " + *first.session_id));
    worker.send("r2", "more");
    EXPECT_EQ(worker.expect_result("r2").session_id, first.session_id);
    EXPECT_THAT(contents(worker.path("workspace/args")), HasSubstr("--resume " + *first.session_id));
    EXPECT_THAT(worker.redis.command({"GET", "worker:session:w1"}).text, HasSubstr(*first.session_id));
    EXPECT_GT(worker.redis.command({"TTL", "worker:session:w1"}).integer, 7000);
    worker.redis.command({"EXPIRE", "worker:session:w1", "100"});
    worker.die();
    worker.start();  // a new wrapper knows it from Redis
    worker.send("r3", "again");
    EXPECT_EQ(worker.expect_result("r3").session_id, first.session_id);
    EXPECT_GT(worker.redis.command({"TTL", "worker:session:w1"}).integer, 7000) << "refreshed on use";
}

// A script in claude's place that says nothing of its result in its first run; `again` is what it does when it is
// asked.
class SilentClaude {
  public:
    SilentClaude(Form form, const std::string& again) : worker(form, "") {
        std::ofstream(worker.path("bin/claude")) << R"(#!/bin/bash
printf '%s ' "$@" >> args; echo >> args
cat > prompt
resumed=
while [ $# -gt 1 ]; do case "$1" in --session-id) id=$2;; --resume) id=$2; resumed=1;; esac; shift; done
mkdir -p ~/.claude/projects/-workspace; touch ~/.claude/projects/-workspace/$id.jsonl
text='I am done.'
if [ -n "$resumed" ]; then
)" + again + R"(
fi
echo '{"type":"system","subtype":"init","model":"m","session_id":"'$id'"}'
echo '{"type":"assistant","message":{"id":"1","content":[{"type":"text","text":"'"$text"'"}]}}'
echo '{"type":"result","subtype":"success","is_error":false,"session_id":"'$id'","num_turns":2,"usage":{"input_tokens":7,"output_tokens":3}}'
)";
        shell("chmod 755 " + worker.path("bin/claude"));
        worker.config.agent_type = contracts::AgentType::claude;
        worker.config.agent_program = "/opt/codegen/bin/claude";
        if (worker.config.sandbox) worker.config.sandbox->mounts = {{worker.path("bin"), "/opt/codegen/bin"}};
        worker.start();
        worker.send("r1", "the prompt");
    }
    std::size_t runs() const {
        const auto args = contents(worker.path("workspace/args"));
        return static_cast<std::size_t>(std::ranges::count(args, '\n'));
    }
    TestWorker worker;
};

TEST_P(Worker, AnAgentWithoutAVerdictIsAskedOnceMoreInItsConversation) {
    SilentClaude claude(GetParam(), R"(text='<result>{\"status\":\"success\",\"summary\":\"made it\"}</result>')");
    auto& worker = claude.worker;
    const auto output = worker.expect_result("r1");
    EXPECT_EQ(output.status, ResultStatus::success) << output.error.value_or("");
    ASSERT_TRUE(output.verdict);
    EXPECT_EQ(output.verdict->summary, "made it");
    EXPECT_EQ(output.usage.value_or(contracts::AgentUsage{}).input_tokens, 14) << "of both runs";
    EXPECT_EQ(worker.results("r1"), 1u);
    EXPECT_EQ(claude.runs(), 2u);
    EXPECT_THAT(contents(worker.path("workspace/args")), HasSubstr("--resume " + *output.session_id));
    EXPECT_THAT(contents(worker.path("workspace/prompt")), HasSubstr("orchestrator result"));
    const auto events = worker.events();
    for (std::size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].seq, static_cast<std::int64_t>(i) + 1);
    EXPECT_TRUE(std::ranges::any_of(events, [](const auto& e) {
        return e.data && e.data->contains("status") && e.data->at("status") == "asked_again";
    }));
}

TEST_P(Worker, AnAgentThatIsAskedInVainHasNoVerdict) {
    for (const char* again : {":", "exit 3"}) {
        SilentClaude claude(GetParam(), again);
        const auto output = claude.worker.expect_result("r1");
        EXPECT_EQ(output.reason, FailureReason::no_verdict) << again;
        EXPECT_EQ(claude.runs(), 2u) << again;
    }
}

TEST_P(Worker, AnAgentWithoutAConversationIsNotAskedAgain) {
    TestWorker worker(GetParam(), "echo run >> runs");
    worker.start();
    worker.send("r1");
    EXPECT_EQ(worker.expect_result("r1").reason, FailureReason::no_verdict);
    EXPECT_EQ(contents(worker.path("workspace/runs")), "run\n");
}

TEST_P(Worker, APooledWorkerTakesFromTheSharedStreamWhileItHasNothingElseToDo) {
    TestWorker worker(GetParam(), std::string("echo up; while [ ! -e go ]; do sleep 0.01; done; rm go; ") + kSuccess);
    worker.config.pool = true;
    const auto to_the_pool = [&](const std::string& id) {
        worker.redis.command({"XADD", "worker:developer:input", "*", "data",
                              R"({"request_id":")" + id + R"(","task_id":"t1","project_id":"p1","prompt":"x"})"});
    };
    const auto let_go = [&] { std::ofstream(worker.path("workspace/go")).close(); };
    worker.start();
    to_the_pool("p1");
    let_go();
    EXPECT_EQ(worker.expect_result("p1").status, ResultStatus::success);
    EXPECT_TRUE(wait_until([&] {
        const auto pending = worker.redis.command({"XPENDING", "worker:developer:input", "developer-workers"});
        return !pending.elements.empty() && pending.elements[0].integer == 0;
    })) << "it is acknowledged";
    const auto ups = [&] {
        return std::ranges::count_if(worker.events(), [](const auto& e) { return e.text == "up"; });
    };
    worker.send("r1");
    ASSERT_TRUE(wait_until([&] { return ups() == 2; }));
    to_the_pool("p2");
    const auto pending = worker.redis.command({"XPENDING", "worker:developer:input", "developer-workers"});
    EXPECT_EQ(pending.elements.at(0).integer, 0) << "left to a worker that is idle";
    let_go();
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
    ASSERT_TRUE(wait_until([&] { return ups() == 3; }));
    let_go();
    EXPECT_EQ(worker.expect_result("p2").status, ResultStatus::success);
    EXPECT_EQ(worker.results("p1") + worker.results("r1") + worker.results("p2"), 3u);
}

TEST_P(Worker, AWorkerOfOneTaskAnswersWhatItWasAskedAndEnds) {
    TestWorker worker(GetParam(), std::string("echo run >> runs; ") + kSuccess);
    worker.config.one_task = true;
    worker.send("r1");
    worker.send("r2");
    worker.start();
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
    EXPECT_EQ(worker.expect_result("r2").status, ResultStatus::success);
    EXPECT_EQ(worker.wait(), 0);
    EXPECT_EQ(worker.results("r1") + worker.results("r2"), 2u);
    EXPECT_EQ(worker.lifecycle().back().event, LifecycleKind::stopped);
    EXPECT_TRUE(std::filesystem::exists(worker.path("state/result-r2.published"))) << "so nobody sends it again";
}

TEST_P(Worker, AWorkerOfOneTaskStaysForThePersonThatItsAgentWaitsFor) {
    TestWorker worker(
        GetParam(),
        std::string("if [ ! -e asked ]; then touch asked; echo '<result>{\"status\":\"failure\",\"summary\":"
                    "\"which?\",\"data\":{\"blocked\":true}}</result>'; exit; fi; ") +
            kSuccess);
    worker.config.one_task = true;
    worker.start();
    worker.send("r1");
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::failed);
    worker.send("r2", "this one");
    EXPECT_EQ(worker.expect_result("r2").status, ResultStatus::success);
    EXPECT_EQ(worker.wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(Forms, Worker, ::testing::Values(Form::sandbox, Form::docker),
                         [](const auto& of) { return of.param == Form::sandbox ? "sandbox" : "docker"; });

// The container has a memory limit of 64 MB, see the harness.
TEST(DockerWorker, OverItsMemoryLimit) {
    TestWorker worker(Form::docker, "exec tail /dev/zero");
    worker.config.memory_limit = 64 << 20;
    worker.start();
    worker.send("r1");
    const auto output = worker.expect_result("r1");
    EXPECT_EQ(output.reason, FailureReason::out_of_memory) << output.error.value_or("");
    EXPECT_THAT(*output.error, HasSubstr("64 MiB"));
}

TEST(SandboxWorker, OverItsMemoryLimit) {
    const bool version1 = std::filesystem::exists("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    const std::string group =
        std::string("/sys/fs/cgroup/") + (version1 ? "memory/" : "") + "codegen-wrapper-test-" + random_token(6);
    ASSERT_TRUE(std::filesystem::create_directory(group)) << group << ": this test needs a writable memory cgroup";
    std::ofstream(group + (version1 ? "/memory.limit_in_bytes" : "/memory.max")) << (64 << 20);
    {
        TestWorker worker(Form::sandbox, "exec tail /dev/zero");
        worker.config.memory_limit = 64 << 20;
        worker.config.sandbox->cgroups = {group};
        worker.start();
        worker.send("r1");
        const auto output = worker.expect_result("r1");
        EXPECT_EQ(output.reason, FailureReason::out_of_memory) << output.error.value_or("");
        EXPECT_THAT(output.error.value_or(""), HasSubstr("64 MiB"));
    }
    EXPECT_TRUE(wait_until([&] { return ::rmdir(group.c_str()) == 0; }));
}

// `make run` of a person without root: everything is theirs, the sandbox gives the walls.
TEST(SandboxWorker, AsAnOrdinaryUser) {
    TestWorker worker(Form::sandbox, std::string("id -u > who; echo x > f; git add f; git commit -qm x; ") + kSuccess);
    worker.as_ordinary_user();
    worker.start();
    worker.send("r1");
    const auto output = worker.expect_result("r1");
    EXPECT_EQ(output.status, ResultStatus::success) << output.error.value_or("");
    EXPECT_TRUE(output.commit_sha);
    EXPECT_EQ(contents(worker.path("workspace/who")), std::to_string(worker.config.agent_uid) + "\n");
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
}

// The sandbox that waits for the next request: a process of ours that anything on the host may kill.
TEST(SandboxWorker, ADeadPreparedSandboxIsReplaced) {
    TestWorker worker(Form::sandbox, "cat; echo; " + std::string(kSuccess));
    worker.start();
    for (const std::string id : {"r1", "r2"}) {
        ASSERT_TRUE(wait_until([&] { return !worker.children().empty(); })) << worker.log();
        for (pid_t child : worker.children()) EXPECT_EQ(::kill(child, SIGKILL), 0);
        worker.send(id, "prompt of " + id);
        EXPECT_EQ(worker.expect_result(id).status, ResultStatus::success) << worker.log();
        EXPECT_TRUE(worker.has_event("prompt of " + id));
    }
}

TEST(SandboxWorker, NoSandboxIsLeftWhenItStopsWhileItWaits) {
    TestWorker worker(Form::sandbox, kSuccess);
    worker.start();
    ASSERT_TRUE(wait_until([&] { return !worker.children().empty(); })) << worker.log();
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
    EXPECT_TRUE(wait_until([&] { return TestWorker::processes_with(worker.path("workspace")) == 0; }));
}

TEST(SandboxWorker, ASandboxThatCannotBeMadeSaysWhy) {
    TestWorker worker(Form::sandbox, kSuccess);
    worker.config.sandbox->mounts.push_back({worker.path("nowhere"), "/opt/nowhere"});
    worker.start();
    worker.send("r1");
    const auto output = worker.expect_result("r1");
    EXPECT_EQ(output.reason, FailureReason::infrastructure);
    EXPECT_THAT(output.error.value_or(""), HasSubstr("nowhere"));
}

TEST(DockerWorker, AForkBombAtThePidsLimitDies) {
    TestWorker worker(Form::docker, "bomb() { bomb | bomb & }; bomb; sleep 100");
    worker.start();
    worker.send("r1", "x", 1);
    EXPECT_EQ(worker.expect_result("r1").reason, FailureReason::timeout);
}

TEST(SandboxWorker, AProductOwnerAnswers) {
    TestWorker worker(Form::sandbox, "read -r x; echo \"you said $x\"; exit ${x/hi/0}");
    worker.config.worker_type = contracts::WorkerType::po;
    worker.config.base_sha.reset();
    worker.start();
    worker.redis.command(
        {"XADD", "worker:po:w1:input", "*", "data", R"({"request_id":"q1","user_id":7,"prompt":"hi\n"})"});
    worker.redis.command({"XADD", "worker:w1:input", "*", "data", R"({"request_id":"q2","user_id":7,"prompt":"5\n"})"});
    std::vector<contracts::POWorkerOutput> answers;
    ASSERT_TRUE(wait_until([&] {
        return (answers = worker.redis.messages<contracts::POWorkerOutput>("worker:po:w1:output")).size() == 2;
    }));
    std::ranges::sort(answers, {}, &contracts::POWorkerOutput::request_id);
    EXPECT_EQ(answers[0].text, "you said hi");
    EXPECT_EQ(answers[0].user_id, 7);
    EXPECT_THAT(answers[1].text, HasSubstr("I could not answer: the agent ended with exit 5"));
}

TEST(SandboxWorker, TheCommandsVerdictWins) {
    TestWorker worker(Form::sandbox, std::string(kSuccess) + R"(
python3 - <<'END'
import socket
s = socket.socket(socket.AF_UNIX); s.connect("/run/codegen/agent/agent.sock")
s.sendall(b'{"command":"result","verdict":{"status":"failure","summary":"told","data":{}}}\n')
print(s.recv(1000).decode().strip())
END)");
    worker.start();
    worker.send("r1");
    const auto output = worker.expect_result("r1");
    EXPECT_TRUE(worker.has_event(R"({"success":true})"));
    EXPECT_EQ(output.status, ResultStatus::failed);
    EXPECT_EQ(output.error, "told");
}

TEST(SandboxWorker, TheLoopbackPortReachesTheGatewayAlsoWhenItComesLate) {
    TestWorker worker(Form::sandbox, R"(
python3 - <<'END'
import socket
s = socket.create_connection(("127.0.0.1", 18790)); s.sendall(b"ping" * 100000); s.shutdown(socket.SHUT_WR)
got = b""
while True:
    b = s.recv(65536)
    if not b: break
    got += b
print(len(got), got[:4].decode())
END
)" + std::string(kSuccess));
    worker.start();
    worker.send("r1");
    ASSERT_TRUE(wait_until([&] { return !worker.events().empty(); }));
    SpawnSpec server;  // an echo at http.sock, made after the agent has connected
    server.argv = {"python3", "-c", R"(
import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666); s.listen()
c, _ = s.accept(); got = b""
while True:
    b = c.recv(65536)
    if not b: break
    got += b
c.sendall(got.upper()); c.close()
)",
                   worker.path("gateway/http.sock")};
    server.environment = {{"PATH", "/usr/bin:/bin"}};
    server.die_with_parent = true;
    auto pid = spawn(server);
    ASSERT_TRUE(pid) << pid.error().message;
    EXPECT_EQ(worker.expect_result("r1").status, ResultStatus::success);
    ::waitpid(*pid, nullptr, 0);
    EXPECT_TRUE(worker.has_event("400000 PING"));
}

TEST(SandboxWorker, ItsDeathIsTheAgentsDeath) {
    const std::string time = unusual_seconds();
    TestWorker worker(Form::sandbox, "setsid sleep " + time + " & echo up; sleep " + time);
    worker.start();
    worker.send("r1");
    ASSERT_TRUE(wait_until([&] { return worker.has_event("up"); }));
    worker.signal(SIGKILL);
    EXPECT_EQ(worker.wait(), 137);
    EXPECT_TRUE(wait_until([&] { return TestWorker::processes_with(time) == 0; }));
}

TEST(SandboxWorker, WithoutContainerItRefusesTheDockerForm) {
    TestWorker worker(Form::sandbox, kSuccess);
    worker.config.sandbox.reset();
    worker.start();
    EXPECT_EQ(worker.wait(), 4);
    EXPECT_THAT(worker.log(), HasSubstr("PID 1"));
}

}  // namespace
}  // namespace codegen::wrapper
