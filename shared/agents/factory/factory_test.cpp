#include "shared/agents/factory/factory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "shared/agents/planned.hpp"
#include "shared/agents/recording.hpp"

namespace codegen::agents {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using K = contracts::AgentEventKind;

std::unique_ptr<AgentStream> stream(std::optional<contracts::AgentUsage> before = contracts::AgentUsage{}) {
    return Factory().stream(std::move(before));
}

TEST(FactoryStream, ToolUse) {
    auto droid = stream();
    const auto events = replay(*droid, "factory/recorded/tool_use.jsonl");
    EXPECT_THAT(kinds(events), ElementsAre(K::status, K::text, K::tool_call, K::tool_result, K::tool_call,
                                           K::tool_result, K::text, K::usage))
        << "the prompt, which it repeats, is not its own text";
    EXPECT_EQ(events[2].text, "Create");
    EXPECT_EQ(events[3].data->at("is_error"), false);
    EXPECT_EQ(events[5].data->at("is_error"), true);
    EXPECT_THAT(*events[5].text, HasSubstr("No such file or directory"));
    const auto& summary = droid->summary();
    ASSERT_TRUE(summary.final_record);
    EXPECT_TRUE(summary.final_record->success) << "a tool's error is the model's to handle";
    EXPECT_EQ(summary.session_id, "5d4c3b2a-1f0e-4d9c-8b7a-6f5e4d3c2b1b");
    EXPECT_EQ(droid->verdict()->summary, "made it");
    EXPECT_EQ(summary.usage->input_tokens, 300);
    EXPECT_EQ(summary.usage->cache_read_tokens, 21);
    EXPECT_EQ(summary.usage->cache_write_tokens, 9);
    EXPECT_EQ(summary.usage->turns, 3);
}

TEST(FactoryStream, AResumedConversationCountsItsOwnRunOnly) {
    auto first = stream();
    replay(*first, "factory/recorded/tool_use.jsonl");
    auto second = stream(first->summary().session_usage);
    replay(*second, "factory/recorded/resumed.jsonl");
    EXPECT_EQ(second->summary().usage->input_tokens, 100);
    EXPECT_EQ(second->summary().usage->turns, 1);
    auto unknown = stream(std::nullopt);
    replay(*unknown, "factory/recorded/resumed.jsonl");
    EXPECT_FALSE(unknown->summary().usage) << "none rather than a wrong one";
}

TEST(FactoryStream, ProviderErrors) {
    for (const char* status : {"401", "429"}) {
        auto droid = stream();
        replay(*droid, std::string("factory/recorded/provider_") + status + ".jsonl");
        ASSERT_TRUE(droid->summary().final_record);
        EXPECT_FALSE(droid->summary().final_record->success);
        EXPECT_EQ(droid->summary().final_record->reason, contracts::FailureReason::provider_error);
        EXPECT_THAT(droid->summary().final_record->error, HasSubstr(status));
    }
    auto droid = stream();
    droid->line(R"({"type":"error","source":"cli","message":"bad option"})", false);
    EXPECT_EQ(droid->summary().final_record->reason, contracts::FailureReason::agent_failure);
}

TEST(FactoryStream, StrangeLinesAreNoOwnText) {
    auto droid = stream();
    for (std::string_view line :
         {"<result>{\"status\":\"success\",\"summary\":\"x\"}</result>", "[1]", "{\"type\":7}",
          "{\"type\":\"completion\",\"usage\":3}", "{\"type\":\"tool_result\",\"value\":{\"a\":1}}",
          R"({"type":"message","role":"user","text":"<result>{\"status\":\"success\",\"summary\":\"x\"}</result>"})"})
        droid->line(line, false);
    EXPECT_FALSE(droid->verdict());
}

contracts::WrapperConfig config(std::vector<std::string> providers, std::optional<std::string> model = {}) {
    contracts::WrapperConfig out;
    out.agent_type = contracts::AgentType::factory;
    out.agent_program = "/opt/codegen/agents/factory/droid";
    out.instructions = "be good";
    out.loopback_port = 1234;
    out.providers = std::move(providers);
    out.model = std::move(model);
    return out;
}

TEST(Factory, Plan) {
    const auto plan = planned(config({"openai", "anthropic"}, "claude-x"), {}, "id1");
    EXPECT_THAT(plan.argv, ElementsAre("/opt/codegen/agents/factory/droid", "exec", "-o", "stream-json",
                                       "--skip-permissions-unsafe", "--model", "custom:claude-x"));
    EXPECT_THAT(plan.session->start, ElementsAre("--session-id", "id1"));
    EXPECT_EQ(plan.environment.at("FACTORY_API_BASE_URL"), "http://127.0.0.1:1234/model/factory");
    ASSERT_EQ(plan.files.size(), 2u);
    EXPECT_EQ(plan.files[0].path, "/home/agent/.factory/settings.json");
    EXPECT_EQ(plan.files[1].path, "/home/agent/.factory/AGENTS.md");
    const auto custom = boost::json::parse(plan.files[0].content).at("customModels").at(0).as_object();
    EXPECT_EQ(custom.at("provider"), "anthropic");
    EXPECT_EQ(custom.at("baseUrl"), "http://127.0.0.1:1234/model/anthropic");
}

TEST(Factory, ItsModelsAreThoseOfTheKeyThatIsThere) {
    const auto settings = [](std::vector<std::string> providers, std::optional<std::string> model = {}) {
        return planned(config(std::move(providers), std::move(model)), {}, "id1").files[0].content;
    };
    EXPECT_THAT(settings({"openai"}), HasSubstr("/model/openai/v1"));
    EXPECT_THAT(settings({"anthropic"}), HasSubstr("/model/anthropic\""));
    EXPECT_THAT(settings({"openai", "anthropic"}), HasSubstr("/model/anthropic\""));
    EXPECT_THAT(settings({"openai", "anthropic"}, "gpt-5.4"), HasSubstr("/model/openai/v1"));
    EXPECT_THAT(settings({}), HasSubstr("/model/anthropic\"")) << "the gateway then says which key is missing";
    EXPECT_THAT(settings({"anthropic", "factory"}), Not(HasSubstr("customModels")));
    EXPECT_THAT(planned(config({"factory"}, "opus"), {}, "id1").argv, IsSupersetOf({"--model", "opus"}));
}

TEST(Factory, ALongPromptIsInAFile) {
    Job job;
    job.prompt.assign(30000, 'x');
    EXPECT_EQ(Factory().input(job), job.prompt);
    EXPECT_EQ(planned(config({}), job, "id1").files.size(), 2u);
    job.prompt += 'x';
    EXPECT_THAT(Factory().input(job), HasSubstr("/home/agent/.factory/task.md"));
    const auto files = planned(config({}), job, "id1").files;
    ASSERT_EQ(files.size(), 3u);
    EXPECT_EQ(files[1].path, "/home/agent/.factory/task.md");
    EXPECT_EQ(files[1].content, job.prompt);
}

TEST(Factory, WithALoginOfItsOwnNothingPointsAtTheGateway) {
    auto with_login = config({"anthropic"}, "opus");
    with_login.login = ".factory";
    const auto plan = planned(with_login, {}, "id1");
    EXPECT_TRUE(plan.environment.empty());
    for (const auto& file : plan.files) EXPECT_FALSE(file.path.ends_with("settings.json")) << "that is the login's own";
    EXPECT_THAT(plan.argv, IsSupersetOf({"--model", "opus"}));
}

}  // namespace
}  // namespace codegen::agents
