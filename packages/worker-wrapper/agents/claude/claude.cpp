#include "packages/worker-wrapper/agents/claude/claude.hpp"

#include <fmt/format.h>

#include <cctype>

#include "packages/worker-wrapper/agent_plan.hpp"
#include "packages/worker-wrapper/sandbox.hpp"

namespace codegen::wrapper {
namespace {

// claude's own rule for the folder of a project: its path with everything but letters and digits as '-'.
std::string session_folder() {
    std::string folder(kWorkspace);
    for (char& c : folder)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '-';
    return std::string(kHome) + "/.claude/projects/" + folder;
}

std::string number_text(double value) {
    std::string text = fmt::format("{:.6f}", value);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text;
}

}  // namespace

std::map<std::string, std::string> Claude::environment(const contracts::WrapperConfig&,
                                                       const std::string& loopback) const {
    return {{"ANTHROPIC_BASE_URL", loopback + "/model/anthropic"},
            {"ANTHROPIC_API_KEY", "placeholder"},
            {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"},
            {"DISABLE_AUTOUPDATER", "1"},
            {"CLAUDE_CODE_MAX_RETRIES", "4"}};  // the default of 10 keeps a dead provider's task for minutes
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
        plan.files.push_back({std::string(kHome) + "/.claude/CLAUDE.md", config.instructions});
}

}  // namespace codegen::wrapper
