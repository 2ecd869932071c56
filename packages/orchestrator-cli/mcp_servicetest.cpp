// `orchestrator mcp` as its client has it: a process with two pipes.
#include <gmock/gmock.h>

#include "packages/orchestrator-cli/cli_fixture.hpp"

namespace codegen::cli::testing {
namespace {
namespace json = boost::json;

using ::testing::HasSubstr;

class McpServer : public CliTest {
  protected:
    // All messages at once, then the end of input; the answers by their ids.
    std::map<std::string, json::object> talk(std::vector<json::object> messages) {
        std::string input =
            R"({"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-06-18",)"
            R"("capabilities":{},"clientInfo":{"name":"test","version":"1"}}})"
            "\n"
            R"({"jsonrpc":"2.0","method":"notifications/initialized"})"
            "\n";
        for (auto& message : messages) {
            message["jsonrpc"] = "2.0";
            input += json::serialize(message) + "\n";
        }
        const auto ran = orchestrator({"mcp"}, std::move(input));
        EXPECT_EQ(ran.exit, 0) << ran.errors;
        EXPECT_EQ(ran.errors, "");
        std::map<std::string, json::object> answers;
        std::istringstream lines(ran.output);
        for (std::string line; std::getline(lines, line);) {
            auto answer = json::parse(line).as_object();
            const auto id = json::serialize(answer.at("id"));
            EXPECT_TRUE(answers.emplace(id, std::move(answer)).second) << "answered twice: " << line;
        }
        EXPECT_EQ(text(answers["\"hello\""].at("result"), "protocolVersion"), "2025-06-18");
        return answers;
    }
    static json::object call(int id, std::string_view tool, json::object arguments = {}) {
        return {
            {"id", id}, {"method", "tools/call"}, {"params", {{"name", tool}, {"arguments", std::move(arguments)}}}};
    }
};

TEST_F(McpServer, calls_do_what_the_commands_do) {
    const auto project = make_project();
    const std::string spec = "-line one\n\"two\" $HOME 🚀";
    auto answers = talk({call(1, "project_list"), call(2, "engineering_start", {{"project", project}, {"spec", spec}}),
                         call(3, "project_get", {{"id", "5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c"}})});
    EXPECT_EQ(answers["1"].at("result").at("structuredContent").at("data").as_array().size(), 1u);
    const auto& started = answers["2"].at("result");
    EXPECT_EQ(started.at("isError"), false) << json::serialize(started);
    EXPECT_EQ(text(started.at("structuredContent").at("data"), "spec"), spec);
    ASSERT_EQ(stream("engineering:queue").size(), 1u);
    // A model names no files of ours.
    auto literal = talk({call(1, "engineering_start", {{"project", project}, {"spec", "@/proc/self/environ"}}),
                         call(2, "engineering_start", {{"project", project}, {"spec", "-"}})});
    EXPECT_EQ(text(literal["1"].at("result").at("structuredContent").at("data"), "spec"), "@/proc/self/environ");
    EXPECT_EQ(text(literal["2"].at("result").at("structuredContent").at("data"), "spec"), "-");
    EXPECT_EQ(answers["3"].at("result").at("isError"), true);
    EXPECT_EQ(answers["3"].at("result").at("structuredContent").at("error"), "not_found");
}

TEST_F(McpServer, has_the_permissions_of_its_caller) {
    environment_["ALLOWED_COMMANDS"] = "DEVELOPER";
    auto answers = talk(
        {{{"id", 1}, {"method", "tools/list"}}, call(2, "project_create", {{"name", "x"}}), call(3, "project_list")});
    std::vector<std::string> names;
    for (const auto& tool : answers["1"].at("result").at("tools").as_array()) names.push_back(text(tool, "name"));
    EXPECT_THAT(names, ::testing::UnorderedElementsAre("project_get", "project_list", "engineering_status", "respond",
                                                       "result"));
    EXPECT_EQ(answers["2"].at("result").at("structuredContent").at("error"), "permission_denied");
    EXPECT_EQ(answers["3"].at("result").at("structuredContent").at("data"), json::array()) << "nothing was made";
}

TEST_F(McpServer, a_cancelled_call_ends_without_an_answer) {
    const auto id =
        text(orchestrator({"engineering", "start", "--project", make_project(), "--spec", "x"}).data(), "id");
    const auto begin = std::chrono::steady_clock::now();
    auto answers = talk({call(1, "engineering_wait", {{"task", id}}),
                         {{"method", "notifications/cancelled"}, {"params", {{"requestId", 1}, {"reason", "enough"}}}},
                         {{"id", 2}, {"method", "ping"}}});
    EXPECT_FALSE(answers.contains("1"));
    EXPECT_EQ(answers["2"].at("result"), json::object());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s) << "it does not wait for the task";
}

TEST_F(McpServer, bytes_that_are_no_envelope_come_as_data) {
    redis_.command({"XADD", "a:queue:dlq", "1-1", "original_message", "\xff no json", "error_context", "{}"});
    auto answers = talk({call(1, "dlq_show", {{"queue", "a:queue"}, {"id", "1-1"}, {"raw", true}})});
    EXPECT_THAT(text(answers["1"].at("result").at("structuredContent"), "data"), HasSubstr(" no json"));
}

TEST_F(McpServer, a_line_without_end_is_given_up) {
    const auto ran =
        orchestrator({"mcp"}, std::string(20u << 20, 'x') + "\n{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}");
    EXPECT_EQ(ran.exit, 0);
    EXPECT_THAT(ran.output, HasSubstr("-32700"));
    EXPECT_THAT(ran.output, HasSubstr("\"id\":7"));
}

}  // namespace
}  // namespace codegen::cli::testing
