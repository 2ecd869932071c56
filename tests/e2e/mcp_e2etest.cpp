// The real Claude Code with `orchestrator mcp` as its MCP server: it lists the tools to its model, calls one, and gives
// the model the answer.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>

#include "shared/posix/file.hpp"
#include "shared/testing/fake_model_provider.hpp"
#include "shared/testing/temp_directory.hpp"
#include "tests/harness/agents.hpp"
#include "tests/harness/control_plane.hpp"

namespace codegen::testing {
namespace {
namespace json = boost::json;
namespace fs = std::filesystem;

std::vector<std::string> tool_names(const ModelRequest& request) {
    std::vector<std::string> names;
    for (const auto& tool : request.json.at("tools").as_array())
        if (std::string name = tool.at("name").as_string().c_str(); name.starts_with("mcp__")) names.push_back(name);
    std::ranges::sort(names);
    return names;
}

TEST(McpWithClaude, ListsAndCallsTheCommands) {
    ControlPlane plane({.runtime = "sandbox"});
    const auto project = plane.create_project("shop");
    const RealAgent claude("claude");
    TempDirectory home;
    claude.give_program(home.path());
    fs::path program;
    for (const auto& entry :
         fs::recursive_directory_iterator(home / "agents", fs::directory_options::follow_directory_symlink))
        if (entry.path().filename() == "claude" && entry.is_regular_file()) program = entry.path();
    ASSERT_FALSE(program.empty());
    const json::object server{
        {"type", "stdio"},
        {"command", CODEGEN_BIN_DIR "/orchestrator"},
        {"args", json::array{"mcp"}},
        {"env", {{"CODEGEN_STATE_DIR", plane.state().string()}, {"ALLOWED_COMMANDS", "project.list,project.get"}}}};
    ASSERT_TRUE(posix::write_file_atomically(
        home / "mcp.json", json::serialize(json::object{{"mcpServers", {{"orchestrator", server}}}}), 0600));

    FakeModelProvider provider;
    provider.push(ModelTurn::call("mcp__orchestrator__project_list", {{"limit", 5}}));
    provider.push(ModelTurn::call("mcp__orchestrator__project_get", {{"id", "5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c"}}));
    provider.push(ModelTurn::say("I have seen them."));
    auto environment = claude.environment(provider, provider.key());
    std::vector<std::string> argv{"/usr/bin/env",
                                  "-i",
                                  "PATH=/usr/bin:/bin",
                                  "HOME=" + home.path().string(),
                                  "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
                                  "DISABLE_AUTOUPDATER=1"};
    for (const auto& [name, value] : environment) argv.push_back(name + "=" + value);
    argv.insert(argv.end(), {program.string(), "-p", "Which projects are there?", "--mcp-config",
                             (home / "mcp.json").string(), "--strict-mcp-config", "--allowedTools",
                             "mcp__orchestrator__project_list,mcp__orchestrator__project_get"});
    const auto ran = plane.run(argv, std::chrono::seconds(120));
    ASSERT_EQ(ran.exit_code, 0) << ran.output << ran.errors;
    EXPECT_TRUE(ran.output.contains("I have seen them.")) << ran.output;

    const auto requests = provider.main_requests();
    ASSERT_EQ(requests.size(), 3u);
    EXPECT_EQ(tool_names(requests[0]),
              (std::vector<std::string>{"mcp__orchestrator__project_get", "mcp__orchestrator__project_list"}))
        << "with the permissions of the caller";
    const auto listed = json::serialize(requests[1].json.at("messages"));
    EXPECT_TRUE(listed.contains("tool_result") && listed.contains(project) && listed.contains("shop")) << listed;
    const auto missing = json::serialize(requests[2].json.at("messages"));
    EXPECT_TRUE(missing.contains("not_found") && missing.contains("\"is_error\":true")) << missing;
}

}  // namespace
}  // namespace codegen::testing
