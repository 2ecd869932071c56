#include "packages/orchestrator-cli/mcp.hpp"

#include <gmock/gmock.h>

#include <boost/json.hpp>

namespace codegen::cli {
namespace {
namespace json = boost::json;

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Mcp : public ::testing::Test {
  protected:
    static std::vector<CommandInfo> tree() { return describe(CommandTree().app()); }
    static const CommandInfo& command(const std::vector<CommandInfo>& all, std::string_view name) {
        for (const auto& each : all)
            if (each.name('_') == name) return each;
        throw std::runtime_error("no command");
    }
    static std::expected<std::vector<std::string>, std::string> line(std::string_view tool,
                                                                     std::string_view arguments) {
        const auto all = tree();
        return mcp_command_line(command(all, tool), json::parse(arguments).as_object());
    }
    json::object ask(std::string_view message) {
        const auto step = session_.on_line(message);
        EXPECT_TRUE(step.reply) << message;
        return step.reply ? json::parse(*step.reply).as_object() : json::object();
    }
    std::int64_t code(std::string_view message) {
        const auto reply = ask(message);
        const auto* error = reply.if_contains("error");
        return error ? error->at("code").as_int64() : 0;
    }
    void initialize() {
        ask(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}})");
    }
    McpSession session_{tree(), std::nullopt};
};

// All commands that do something, and nothing else: no second list that could forget one.
TEST_F(Mcp, every_command_is_a_tool_with_a_schema) {
    const auto all = tree();
    const auto tools = mcp_tools(all, std::nullopt);
    std::size_t expected = 0;
    for (const auto& each : all) expected += !each.group && !each.about ? 1 : 0;
    EXPECT_EQ(tools.size(), expected);
    for (const auto& tool : tools) {
        EXPECT_LE(tool.at("name").as_string().size(), 40u);
        EXPECT_FALSE(tool.at("description").as_string().empty());
        EXPECT_EQ(tool.at("inputSchema").at("type"), "object");
        for (const auto& [name, schema] : tool.at("inputSchema").at("properties").as_object())
            EXPECT_TRUE(schema.as_object().contains("type") && schema.as_object().contains("description")) << name;
    }
}

TEST_F(Mcp, a_schema_says_what_the_command_takes) {
    const auto tools = mcp_tools(tree(), std::vector<std::string>{"engineering.start", "worker.exec", "project.list"});
    ASSERT_EQ(tools.size(), 3u);
    EXPECT_EQ(tools[0].at("name"), "project_list");
    EXPECT_EQ(
        tools[0].at("inputSchema").at("properties").at("limit"),
        (json::object{
            {"type", "integer"}, {"minimum", 1}, {"maximum", 500}, {"description", "At most this many (1 to 500)"}}));
    const auto& start = tools[1].at("inputSchema");
    EXPECT_EQ(start.at("required"), (json::array{"project", "spec"}));
    EXPECT_EQ(start.at("properties").at("agent").at("enum"), (json::array{"claude", "factory", "codex", "custom"}));
    EXPECT_EQ(start.at("properties").at("wait").at("type"), "boolean");
    EXPECT_EQ(start.at("additionalProperties"), false);
    for (const auto* hidden : {"json", "text", "follow"})
        EXPECT_FALSE(start.at("properties").as_object().contains(hidden)) << hidden;
    EXPECT_EQ(tools[2].at("inputSchema").at("properties").at("command").at("items").at("type"), "string");
}

TEST_F(Mcp, arguments_become_a_command_line) {
    EXPECT_THAT(*line("project_list", "{}"), ElementsAre("project", "list", "--json"));
    EXPECT_THAT(
        *line("engineering_start", R"({"project":"p","spec":"-x\n\"y\"","wait":true,"budget_usd":0.5,"model":""})"),
        ElementsAre("engineering", "start", "--json", "--project=p", "--spec=-x\n\"y\"", "--model", "",
                    "--budget-usd=0.5", "--wait"));
    EXPECT_THAT(*line("worker_exec", R"({"worker":"w","command":["sh","-c","--follow"],"timeout":5})"),
                ElementsAre("worker", "exec", "--json", "--timeout=5", "--", "w", "sh", "-c", "--follow"));
    EXPECT_THAT(line("project_get", "{}").error(), HasSubstr("\"id\" is missing"));
    EXPECT_THAT(line("project_get", R"({"id":7})").error(), HasSubstr("argument \"id\" is 7: expected a string"));
    EXPECT_THAT(line("project_get", R"({"id":["a"]})").error(), HasSubstr("expected one value"));
    EXPECT_THAT(line("project_get", R"({"id":"a","json":true})").error(),
                HasSubstr("unknown argument \"json\"; project_get takes id"));
    EXPECT_THAT(line("project_list", R"({"limit":1.5})").error(), HasSubstr("a whole number"));
    EXPECT_THAT(line("engineering_start", R"({"project":"p","spec":"s","wait":"yes"})").error(),
                HasSubstr("true or false"));
    EXPECT_THAT(line("worker_exec", R"({"worker":"w","command":"ls"})").error(), HasSubstr("a list"));
}

// What is passed reaches the command as it was, whatever it looks like.
TEST_F(Mcp, the_parser_reads_every_command_line_back) {
    for (const auto* value : {"-", "--json", "--spec=x", "{}", "[a]", "a b", "''", "@file"}) {
        const auto built = line("engineering_start", json::serialize(json::object{{"project", "p"}, {"spec", value}}));
        ASSERT_TRUE(built);
        CommandTree commands;
        std::vector<std::string> reversed(built->rbegin(), built->rend());
        EXPECT_NO_THROW(commands.app().parse(reversed)) << value;
        EXPECT_EQ(commands.app()
                      .get_subcommand("engineering")
                      ->get_subcommand("start")
                      ->get_option("--spec")
                      ->as<std::string>(),
                  value);
        EXPECT_TRUE(commands.json_wanted());
    }
}

TEST_F(Mcp, the_revision_that_both_know) {
    const auto ask_for = [&](const std::string& revision) {
        const auto reply =
            ask(R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":")" + revision + "\"}}");
        return std::string(reply.at("result").at("protocolVersion").as_string());
    };
    EXPECT_EQ(ask_for("2025-06-18"), "2025-06-18");
    EXPECT_EQ(ask_for("2025-11-25"), "2025-11-25");
    EXPECT_EQ(ask_for("1999-01-01"), "2025-11-25") << "the newest of ours; the client decides";
}

TEST_F(Mcp, errors_are_those_of_json_rpc) {
    EXPECT_EQ(code("{"), -32700);
    EXPECT_EQ(code("[]"), -32600);
    EXPECT_EQ(code(R"({"id":1,"method":"ping"})"), -32600);
    EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1})"), -32600);
    EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":null,"method":"ping"})"), -32600);
    EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})"), -32600) << "before initialize";
    EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"initialize"})"), -32602);
    EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"ping"})"), 0);
    initialize();
    EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":"a","method":"resources/list"})"), -32601);
    EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"dance"}})"), -32602);
    EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mcp"}})"), -32602);
    EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"project_list","arguments":[]}})"),
              -32602);
    const auto wrong = ask(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"project_get"}})");
    EXPECT_EQ(wrong.at("result").at("isError"), true) << "the model reads it and mends its call";
}

TEST_F(Mcp, notifications_and_answers_get_none) {
    initialize();
    for (const auto* message :
         {R"({"jsonrpc":"2.0","method":"notifications/initialized"})",
          R"({"jsonrpc":"2.0","method":"anything","params":{}})", R"({"jsonrpc":"2.0","id":1,"result":{}})",
          R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}})"}) {
        const auto step = session_.on_line(message);
        EXPECT_FALSE(step.reply || step.call || step.cancel) << message;
    }
}

TEST_F(Mcp, calls_run_end_and_are_cancelled_by_their_id) {
    initialize();
    const auto call = [](int id) {
        return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) +
               R"(,"method":"tools/call","params":{"name":"project_list"}})";
    };
    const auto started = session_.on_line(call(1));
    ASSERT_TRUE(started.call);
    EXPECT_EQ(code(call(1)), -32600) << "the id is taken";
    ASSERT_TRUE(session_.on_line(call(2)).call);
    const auto cancelled =
        session_.on_line(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}})");
    EXPECT_EQ(cancelled.cancel, "2");
    session_.forget("2");
    auto answer =
        json::parse(session_.answer("1", "{\"event\":1}\n{\"success\":true,\"data\":[1],\"message\":\"m\"}\n", ""));
    EXPECT_EQ(answer.at("id"), 1);
    EXPECT_EQ(answer.at("result").at("isError"), false);
    EXPECT_EQ(answer.at("result").at("structuredContent").at("data"), json::array{1});
    EXPECT_EQ(json::parse(answer.at("result").at("content").at(0).at("text").as_string()),
              answer.at("result").at("structuredContent"));
    ASSERT_TRUE(session_.on_line(call(1)).call) << "the id is free again";
    answer = json::parse(session_.answer("1", "", "killed by signal 9"));
    EXPECT_EQ(answer.at("result").at("isError"), true);
    for (int id = 100; id < 132; ++id) ASSERT_TRUE(session_.on_line(call(id)).call);
    EXPECT_EQ(ask(call(200)).at("result").at("structuredContent").at("error"), "unavailable");
}

TEST_F(Mcp, what_is_not_allowed_is_not_listed_and_refused) {
    McpSession session(tree(), std::vector<std::string>{"project.*"});
    session.on_line(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}})");
    const auto listed = json::parse(*session.on_line(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})").reply);
    EXPECT_EQ(listed.at("result").at("tools").as_array().size(), 4u);
    const auto step = session.on_line(R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"dlq_list"}})");
    ASSERT_TRUE(step.reply);
    const auto refused = json::parse(*step.reply).at("result");
    EXPECT_EQ(refused.at("isError"), true);
    EXPECT_EQ(refused.at("structuredContent").at("error"), "permission_denied");
    EXPECT_EQ(refused.at("structuredContent").at("allowed_commands"), json::array{"project.*"});
}

}  // namespace
}  // namespace codegen::cli
