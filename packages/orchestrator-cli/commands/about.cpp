// completion | man: about this program itself, made from the tree of its commands. They ask nobody.
#include "packages/orchestrator-cli/command_tree.hpp"
#include "packages/orchestrator-cli/completion.hpp"
#include "packages/orchestrator-cli/manual.hpp"

namespace codegen::cli {
namespace {

Task<Outcome> say(std::string text) {
    Answer answer;
    answer.text = std::move(text);
    answer.raw = true;
    co_return answer;
}

std::string script_for(const std::string& shell, const CLI::App& app) {
    const auto tree = describe(app);
    if (shell == "zsh") return zsh_completion(tree);
    return shell == "fish" ? fish_completion(tree) : bash_completion(tree);
}

}  // namespace

void add_about_commands(CLI::App& app, Chosen& chosen) {
    auto shell = std::make_shared<std::string>();
    auto* completion = app.add_subcommand("completion", "Print a completion script for a shell")->group(kAboutGroup);
    completion->add_option("SHELL", *shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    completion->footer(
        "Examples:\n"
        "  orchestrator completion bash > /etc/bash_completion.d/orchestrator\n"
        "  orchestrator completion zsh > /usr/local/share/zsh/site-functions/_orchestrator\n"
        "  orchestrator completion fish > ~/.config/fish/completions/orchestrator.fish");
    completion->callback([&app, &chosen, shell] {
        chosen = Command{"", [text = script_for(*shell, app)](Invocation) { return say(text); }};
    });

    auto* man = app.add_subcommand("man", "Print the manual page (roff)")->group(kAboutGroup);
    man->footer(
        "Examples:\n  orchestrator man | man -l -\n  orchestrator man > /usr/local/share/man/man1/orchestrator.1");
    man->callback([&app, &chosen] {
        chosen = Command{"", [text = manual_page(describe(app))](Invocation) { return say(text); }};
    });
}

}  // namespace codegen::cli
