// Completion and manual as the programs that read them see them; colours as a terminal does.
#include <gmock/gmock.h>

#include "packages/orchestrator-cli/cli_fixture.hpp"

namespace codegen::cli::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

class AboutTest : public CliTest {
  protected:
    Ran tool(std::vector<std::string> argv, std::string input = {}) {
        process::Spec spec;
        spec.argv = std::move(argv);
        spec.environment = environment_;
        spec.environment["PATH"] = std::string(CODEGEN_BIN_DIR) + ":/usr/bin:/bin";
        spec.environment["TERM"] = "xterm";
        spec.input = std::move(input);
        auto outcome = run(io_, process::run(std::move(spec)), 30s);
        EXPECT_TRUE(outcome) << outcome.error().message;
        return outcome ? Ran{outcome->code, outcome->output, outcome->errors} : Ran{};
    }
    // What bash offers behind these words, the last of which is being typed.
    std::vector<std::string> completed(const std::vector<std::string>& words) {
        std::string line;
        for (const auto& word : words) line += " '" + word + "'";
        const auto ran = tool({"bash", "-c",
                               "source <(orchestrator completion bash) && COMP_WORDS=(orchestrator" + line +
                                   ") COMP_CWORD=" + std::to_string(words.size()) +
                                   " && complete -p orchestrator >/dev/null && _orchestrator && printf '%s\\n' "
                                   "\"${COMPREPLY[@]}\""});
        EXPECT_EQ(ran.exit, 0) << ran.errors;
        EXPECT_EQ(ran.errors, "");
        std::vector<std::string> out;
        std::istringstream lines(ran.output);
        for (std::string each; std::getline(lines, each);)
            if (!each.empty()) out.push_back(each);
        return out;
    }
};

TEST_F(AboutTest, bash_completes_commands_options_and_values) {
    EXPECT_THAT(completed({""}), IsSupersetOf({"project", "engineering", "dlq", "deploy", "infra", "--json"}));
    EXPECT_THAT(completed({"eng"}), ElementsAre("engineering"));
    EXPECT_THAT(completed({"engineering", ""}), IsSupersetOf({"start", "status", "wait", "cancel", "resume"}));
    EXPECT_THAT(completed({"engineering", "start", "--ag"}), ElementsAre("--agent", "--agent-command"));
    EXPECT_THAT(completed({"engineering", "start", "--agent", "c"}), ElementsAre("claude", "codex", "custom"));
    EXPECT_THAT(completed({"engineering", "trigger", "--spec", "project", "--agent", "f"}), ElementsAre("factory"))
        << "an alias, and a value that is the name of a command";
    EXPECT_THAT(completed({"--json", "completion", ""}), IsSupersetOf({"bash", "zsh", "fish"}));
    EXPECT_THAT(completed({"project", "list", "--limit", ""}), IsEmpty()) << "any number";
    ASSERT_TRUE(posix::write_file_atomically(directory_ / "spec.md", "x", 0600));
    EXPECT_THAT(completed({"engineering", "start", "--spec", "@" + (directory_ / "sp").string()}),
                ElementsAre("@" + (directory_ / "spec.md").string()));
}

TEST_F(AboutTest, the_manual_is_roff_without_a_complaint) {
    const auto page = orchestrator({"man"});
    EXPECT_EQ(page.exit, 0);
    const auto checked = tool({"groff", "-ww", "-man", "-Tutf8", "-z", "-"}, page.output);
    EXPECT_EQ(checked.exit, 0);
    EXPECT_EQ(checked.errors, "");
    const auto shown = tool({"groff", "-man", "-Tascii", "-P-cbou", "-"}, page.output);
    EXPECT_THAT(shown.output, HasSubstr("orchestrator engineering start"));
    EXPECT_THAT(shown.output, HasSubstr("--agent claude|factory|codex|custom"));
    EXPECT_THAT(shown.output, HasSubstr("orchestrator dlq drop engineering:queue --all --yes"));
}

TEST_F(AboutTest, needs_neither_control_plane_nor_permission) {
    environment_ = {{"CODEGEN_STATE_DIR", "/nonexistent"}, {"ALLOWED_COMMANDS", "respond"}, {"PATH", "/usr/bin:/bin"}};
    for (const auto* shell : {"bash", "zsh", "fish"}) EXPECT_EQ(orchestrator({"completion", shell}).exit, 0);
    EXPECT_EQ(orchestrator({"completion", "tcsh"}).exit, 2);
}

TEST_F(AboutTest, colours_only_on_a_terminal) {
    const auto on_terminal = [&] {
        return tool({"script", "-qec", CODEGEN_BIN_DIR "/orchestrator project get x", "/dev/null"}).output;
    };
    EXPECT_THAT(on_terminal(), HasSubstr("\x1b[31merror:"));
    environment_["NO_COLOR"] = "1";
    EXPECT_THAT(on_terminal(), HasSubstr("error:"));
    EXPECT_THAT(on_terminal(), Not(HasSubstr("\x1b")));
    environment_.erase("NO_COLOR");
    const auto piped = orchestrator({"project", "get", "x", "--text"});
    EXPECT_THAT(piped.errors, HasSubstr("error:"));
    EXPECT_THAT(piped.errors, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace codegen::cli::testing
