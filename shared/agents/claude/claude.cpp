#include "shared/agents/claude/claude.hpp"

#include <fmt/format.h>

#include <cctype>

#include "shared/agents/job.hpp"
#include "shared/sandbox/bwrap_command.hpp"

namespace codegen::agents {
namespace {

// claude's own rule for the folder of a project: its path with everything but letters and digits as '-'.
std::string session_folder() {
    std::string folder(sandbox::kWorkspaceInside);
    for (char& c : folder)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '-';
    return std::string(sandbox::kHomeInside) + "/.claude/projects/" + folder;
}

std::string number_text(double value) {
    std::string text = fmt::format("{:.6f}", value);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text;
}

}  // namespace

std::unique_ptr<const Agent> make_claude() { return std::make_unique<Claude>(); }

const Description& Claude::description() const {
    static const Description description{
        .version = "2.1.197",
        .program = "claude",
        .memory_bytes = 1536ll << 20,
        .memory_note = "about 0.3 GB for itself, the rest for what it runs",
        .profile = ".claude",
        .login_hosts = {"api.anthropic.com:443", "console.anthropic.com:443", "platform.claude.com:443"}};
    return description;
}

std::map<std::string, std::string> Claude::environment(const contracts::WrapperConfig& config,
                                                       const std::string& loopback) const {
    std::map<std::string, std::string> out{
        {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"},
        {"DISABLE_AUTOUPDATER", "1"},
        {"CLAUDE_CODE_MAX_RETRIES", "4"}};  // the default of 10 keeps a dead provider's task for minutes
    if (config.login) {
        // Else a part of the login would lie beside the folder.
        out["CLAUDE_CONFIG_DIR"] = std::string(sandbox::kHomeInside) + "/" + *config.login;
    } else {
        out["ANTHROPIC_BASE_URL"] = loopback + "/model/anthropic";
        out["ANTHROPIC_API_KEY"] = "placeholder";
    }
    return out;
}

void Claude::plan(const contracts::WrapperConfig& config, const Job& job, const std::string& session_id,
                  LaunchPlan& plan) const {
    plan.argv = {*config.agent_program, "-p",        "--output-format",
                 "stream-json",         "--verbose", "--dangerously-skip-permissions"};
    if (config.model) plan.argv.insert(plan.argv.end(), {"--model", *config.model});
    if (job.developer && job.developer->budget_usd)
        plan.argv.insert(plan.argv.end(), {"--max-budget-usd", number_text(*job.developer->budget_usd)});
    plan.session =
        PlannedSession{session_folder(), session_id + ".jsonl", {"--resume", session_id}, {"--session-id", session_id}};
    if (!config.instructions.empty())
        plan.files.push_back({std::string(sandbox::kHomeInside) + "/.claude/CLAUDE.md", config.instructions});
}

}  // namespace codegen::agents
