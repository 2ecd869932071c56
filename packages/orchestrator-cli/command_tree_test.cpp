#include "packages/orchestrator-cli/command_tree.hpp"

#include <gmock/gmock.h>

#include "packages/orchestrator-cli/completion.hpp"
#include "packages/orchestrator-cli/manual.hpp"
#include "packages/orchestrator-cli/permissions.hpp"

namespace codegen::cli {
namespace {

using ::testing::HasSubstr;

const CommandInfo& find(const std::vector<CommandInfo>& tree, std::string_view name) {
    for (const auto& command : tree)
        if (command.name(' ') == name) return command;
    throw std::runtime_error("no command " + std::string(name));
}

const OptionInfo& option(const CommandInfo& command, std::string_view name) {
    for (const auto& found : command.options)
        if (found.name == name) return found;
    throw std::runtime_error("no option " + std::string(name));
}

TEST(CommandTree, knows_every_option_as_it_is_checked) {
    const CommandTree commands;
    const auto tree = describe(commands.app());
    const auto& start = find(tree, "engineering start");
    EXPECT_EQ(start.also, std::vector<std::string>{"trigger"});
    EXPECT_TRUE(option(start, "--project").required);
    EXPECT_EQ(option(start, "--agent").choices, (std::vector<std::string>{"claude", "factory", "codex", "custom"}));
    EXPECT_EQ(option(start, "--wait").kind, OptionInfo::Kind::flag);
    EXPECT_EQ(option(start, "--timeout").kind, OptionInfo::Kind::integer);
    EXPECT_EQ(option(start, "--timeout").least, 1);
    EXPECT_EQ(option(start, "--budget-usd").kind, OptionInfo::Kind::number);
    const auto& exec = find(tree, "worker exec");
    EXPECT_TRUE(option(exec, "COMMAND").many);
    EXPECT_TRUE(option(exec, "WORKER").positional);
    EXPECT_FALSE(option(exec, "WORKER").many);
    EXPECT_EQ(option(find(tree, "project list"), "--limit").most, 500);
    EXPECT_EQ(option(find(tree, "worker logs"), "--tail").also, std::vector<std::string>{"--lines"});
    EXPECT_EQ(option(find(tree, "dlq retry"), "--all").excludes, std::vector<std::string>{"ID"});
}

// What stands in help and manual works as it stands there.
TEST(CommandTree, every_command_has_examples_that_parse_as_that_command) {
    const CommandTree commands;
    for (const auto& command : describe(commands.app())) {
        if (command.group) continue;
        const auto examples = command.examples();
        EXPECT_FALSE(examples.empty()) << command.name(' ');
        for (auto example : examples) {
            CommandTree fresh;
            example = example.substr(0, example.find_first_of("|>"));
            EXPECT_NO_THROW(fresh.app().parse(example, true)) << example;
            ASSERT_TRUE(fresh.chosen()) << example;
            // The permission is the command's name; commands about the program itself need none.
            EXPECT_EQ(fresh.chosen()->permission, command.about ? "" : command.permission()) << example;
        }
    }
}

TEST(CommandTree, the_permissions_of_profiles_are_commands) {
    const CommandTree commands;
    const auto tree = describe(commands.app());
    for (const auto* profile : {"DEVELOPER", "DEVOPS"})
        for (const auto& pattern : parse_allowed_commands(profile))
            EXPECT_TRUE(std::ranges::any_of(tree, [&](const auto& c) { return is_allowed({pattern}, c.permission()); }))
                << pattern;
}

TEST(Completion, scripts_hold_commands_options_and_values) {
    const CommandTree commands;
    const auto tree = describe(commands.app());
    for (const auto& script : {bash_completion(tree), zsh_completion(tree), fish_completion(tree)}) {
        EXPECT_THAT(script, HasSubstr("engineering start"));
        EXPECT_THAT(script, HasSubstr("agent-command"));
        EXPECT_THAT(script, HasSubstr("claude factory codex custom"));
    }
}

TEST(Manual, names_every_command_and_option) {
    const CommandTree commands;
    const auto tree = describe(commands.app());
    auto page = manual_page(tree);
    for (std::size_t at = 0; (at = page.find("\\-", at)) != page.npos;) page.erase(at, 1);
    for (const auto& command : tree) {
        if (command.path.empty()) continue;
        EXPECT_THAT(page, HasSubstr(command.group ? command.path.back() : "orchestrator " + command.name(' ')));
        for (const auto& each : command.options) EXPECT_THAT(page, HasSubstr(each.name)) << command.name(' ');
    }
}

}  // namespace
}  // namespace codegen::cli
