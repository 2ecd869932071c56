// The claude records are shaped as claude 2.1.197 prints them (docs: agents).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "shared/agents/claude/claude.hpp"
#include "shared/agents/planned.hpp"
#include "shared/agents/recording.hpp"

namespace codegen::agents {
namespace {

using contracts::AgentEventKind;
using ::testing::HasSubstr;

std::unique_ptr<AgentStream> claude() { return Claude().stream({}); }

std::string assistant(std::string_view id, std::string_view block, std::string_view parent = "null") {
    return fmt::format(
        R"({{"type":"assistant","message":{{"id":"{}","role":"assistant","content":[{}],"usage":{{"input_tokens":10,"output_tokens":2,"cache_read_input_tokens":5,"cache_creation_input_tokens":1}}}},"parent_tool_use_id":{},"session_id":"s"}})",
        id, block, parent);
}

constexpr std::string_view kVerdictText = R"(<result>{\"status\":\"success\",\"summary\":\"done\"}</result>)";

TEST(ClaudeStream, EventsUsageAndFinalRecord) {
    auto stream = claude();
    auto events =
        stream->line(R"({"type":"system","subtype":"init","model":"m1","session_id":"s1","tools":[]})", false);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, AgentEventKind::status);

    events =
        stream->line(assistant("a", R"({"type":"thinking","thinking":"hm"},{"type":"text","text":"hello"})"), false);
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].kind, AgentEventKind::thinking);
    EXPECT_EQ(events[1].text, "hello");

    events =
        stream->line(assistant("a", R"({"type":"tool_use","id":"t1","name":"Bash","input":{"command":"ls"}})"), false);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, AgentEventKind::tool_call);
    EXPECT_EQ(events[0].data->at("input").as_object().at("command"), "ls");
    // The same message twice counts once.
    EXPECT_EQ(stream->summary().usage->input_tokens, 10);
    EXPECT_EQ(stream->summary().usage->turns, 1);

    events = stream->line(
        R"({"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","is_error":true,"content":[{"type":"text","text":"out"}]}]}})",
        false);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, AgentEventKind::tool_result);
    EXPECT_EQ(events[0].text, "out\n");
    EXPECT_TRUE(events[0].data->at("is_error").as_bool());

    stream->line(assistant("b", R"({"type":"text","text":")" + std::string(kVerdictText) + R"("})"), false);
    EXPECT_EQ(stream->summary().usage->output_tokens, 4);
    events = stream->line(
        R"({"type":"result","subtype":"success","is_error":false,"result":"bye","session_id":"s1","num_turns":3,"total_cost_usd":0.25,"usage":{"input_tokens":21,"output_tokens":7,"cache_read_input_tokens":3,"cache_creation_input_tokens":4}})",
        false);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, AgentEventKind::usage);
    const auto& summary = stream->summary();
    ASSERT_TRUE(summary.final_record);
    EXPECT_TRUE(summary.final_record->success);
    EXPECT_EQ(summary.usage->input_tokens, 21);
    EXPECT_EQ(summary.usage->cache_write_tokens, 4);
    EXPECT_EQ(summary.usage->turns, 3);
    EXPECT_EQ(summary.usage->cost_usd, 0.25);
    EXPECT_EQ(summary.usage->model, "m1");
    EXPECT_EQ(summary.session_id, "s1");
    ASSERT_TRUE(stream->verdict());
    EXPECT_EQ(stream->verdict()->summary, "done");
}

TEST(ClaudeStream, AVerdictInToolOutputOrASubAgentDoesNotCount) {
    auto stream = claude();
    stream->line(
        fmt::format(
            R"({{"type":"user","message":{{"content":[{{"type":"tool_result","tool_use_id":"t","content":"{}"}}]}}}})",
            kVerdictText),
        false);
    stream->line(
        assistant("a", fmt::format(R"({{"type":"tool_use","id":"t","name":"Bash","input":{{"command":"echo {}"}}}})",
                                   kVerdictText)),
        false);
    stream->line(assistant("b", fmt::format(R"({{"type":"text","text":"{}"}})", kVerdictText), R"("t2")"), false);
    stream->line("<result>{\"status\":\"success\",\"summary\":\"not json at all\"}</result>", false);
    EXPECT_FALSE(stream->verdict());
}

TEST(ClaudeStream, ProviderErrorsAndLimits) {
    auto reason_of = [](std::string_view record) {
        auto stream = claude();
        stream->line(record, false);
        return stream->summary().final_record->reason;
    };
    using R = contracts::FailureReason;
    EXPECT_EQ(
        reason_of(
            R"({"type":"result","subtype":"success","is_error":true,"api_error_status":401,"result":"API Error: 401"})"),
        R::provider_error);
    EXPECT_EQ(reason_of(R"({"type":"result","subtype":"error_max_budget_usd","is_error":true})"), R::budget);
    EXPECT_EQ(reason_of(R"({"type":"result","subtype":"error_max_turns","is_error":true})"), R::agent_failure);
    EXPECT_EQ(reason_of(R"({"type":"result"})"), R::agent_failure);

    auto stream = claude();
    stream->line(
        R"({"type":"system","subtype":"api_retry","attempt":1,"max_retries":4,"retry_delay_ms":500,"error_status":529})",
        false);
    EXPECT_THAT(stream->summary().provider_trouble.value_or(""), HasSubstr("529"));
    stream->line(assistant("a", R"({"type":"text","text":"x"})"), false);
    EXPECT_FALSE(stream->summary().provider_trouble);
}

TEST(ClaudeStream, StrangeLinesAreNoOwnText) {
    auto stream = claude();
    for (std::string_view line : {"warning: x", "[1,2]", "{\"type\":7}", "{\"type\":\"assistant\",\"message\":[]}",
                                  "{\"type\":\"assistant\",\"message\":{\"content\":[1,{\"type\":\"text\"}]}}",
                                  "{\"type\":\"user\",\"message\":{\"content\":\"x\"}}",
                                  "{\"type\":\"result\",\"usage\":{\"input_tokens\":1e300}}"})
        stream->line(line, false);
    EXPECT_TRUE(stream->line("", false).empty());
    const auto events = stream->line("{\"type\":\"assistant\"", true);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, AgentEventKind::stderr_);
}

TEST(ClaudeStream, LongTextsAreCutInEventsOnly) {
    auto stream = claude();
    const std::string text = std::string(100000, 'x') + std::string(kVerdictText);
    const auto events = stream->line(assistant("a", R"({"type":"text","text":")" + text + R"("})"), false);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].text->size(), kLongestEventText);
    EXPECT_TRUE(events[0].data->at("truncated").as_bool());
    EXPECT_TRUE(stream->verdict());
}

TEST(ClaudeStream, RecordedToolUse) {
    auto stream = claude();
    const auto events = replay(*stream, "claude/recorded/tool_use.jsonl");
    using K = AgentEventKind;
    EXPECT_THAT(kinds(events), ::testing::ElementsAre(K::status, K::text, K::tool_call, K::tool_result, K::tool_call,
                                                      K::tool_result, K::text, K::usage));
    EXPECT_TRUE(stream->summary().final_record->success);
    EXPECT_EQ(stream->verdict()->summary, "made it");
    EXPECT_EQ(stream->summary().usage->input_tokens, 300);
    EXPECT_EQ(stream->summary().usage->turns, 3);
}

TEST(ClaudeStream, RecordedProviderError) {
    auto stream = claude();
    replay(*stream, "claude/recorded/provider_401.jsonl");
    EXPECT_FALSE(stream->summary().final_record->success);
    EXPECT_EQ(stream->summary().final_record->reason, contracts::FailureReason::provider_error);
}

TEST(Claude, WithALoginOfItsOwnNothingPointsAtTheGateway) {
    contracts::WrapperConfig config;
    config.agent_type = contracts::AgentType::claude;
    config.agent_program = "/c";
    EXPECT_TRUE(planned(config).environment.contains("ANTHROPIC_BASE_URL"));
    config.login = ".claude";
    const auto plan = planned(config);
    EXPECT_FALSE(plan.environment.contains("ANTHROPIC_BASE_URL"));
    EXPECT_FALSE(plan.environment.contains("ANTHROPIC_API_KEY"));
    EXPECT_EQ(plan.environment.at("CLAUDE_CONFIG_DIR"), "/home/agent/.claude");
}

}  // namespace
}  // namespace codegen::agents
