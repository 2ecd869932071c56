// The commands: each registers itself with CLI11 and leaves what is to be done in `Chosen`.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "packages/orchestrator-cli/answer.hpp"
#include "packages/orchestrator-cli/output.hpp"
#include "packages/orchestrator-cli/session.hpp"
#include "shared/command_line/usage.hpp"

namespace codegen::cli {

// What a command works with.
struct Invocation {
    std::shared_ptr<Session> session;
    OutputMode mode;
};

struct Command {
    std::string permission;
    std::function<Task<Outcome>(Invocation)> run;
};
using Chosen = std::optional<Command>;

void add_project_commands(CLI::App& app, Chosen& chosen);
void add_engineering_commands(CLI::App& app, Chosen& chosen);
void add_agent_commands(CLI::App& app, Chosen& chosen);  // result, respond
void add_diagnose_commands(CLI::App& app, Chosen& chosen);
void add_worker_commands(CLI::App& app, Chosen& chosen);
void add_image_commands(CLI::App& app, Chosen& chosen);
void add_contracts_commands(CLI::App& app, Chosen& chosen);
void add_deploy_commands(CLI::App& app, Chosen& chosen);
void add_infra_commands(CLI::App& app, Chosen& chosen);
CLI::App* add_server_commands(CLI::App& infra, Chosen& chosen);  // infra server ...
void add_dead_letter_commands(CLI::App& app, Chosen& chosen);
void add_mcp_command(CLI::App& app, Chosen& chosen);
void add_about_commands(CLI::App& app, Chosen& chosen);  // completion, man

// The group in --help of commands that are about this program, not about the control plane.
inline constexpr const char* kAboutGroup = "About this program";

// Set for the commands that `mcp` runs: texts are texts, whatever they begin with.
inline constexpr std::string_view kLiteralTexts = "ORCHESTRATOR_LITERAL_TEXTS";
// "TEXT", "@FILE" or "-" (standard input, where allowed), byte for byte. Errors name the option.
std::expected<std::string, Failure> read_text(const std::string& option, const std::string& value, bool allow_stdin);

// Of this invocation; goes into messages.
std::string current_correlation_id();

inline std::unexpected<Failure> failed(const Error& error) { return std::unexpected(failure_of(error)); }

}  // namespace codegen::cli
