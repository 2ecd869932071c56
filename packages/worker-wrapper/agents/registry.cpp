#include <fmt/format.h>

#include <array>
#include <utility>

#include "packages/worker-wrapper/agent_plan.hpp"
#include "packages/worker-wrapper/agents/agent.hpp"
#include "packages/worker-wrapper/agents/claude/claude.hpp"
#include "packages/worker-wrapper/agents/codex/codex.hpp"
#include "packages/worker-wrapper/agents/custom/custom.hpp"
#include "packages/worker-wrapper/agents/factory/factory.hpp"
#include "shared/json/enum.hpp"

namespace codegen::wrapper {

using contracts::AgentType;

Result<void> Agent::check(const contracts::WrapperConfig& config) const {
    if (config.agent_program) return {};
    return fail(
        ErrorCategory::fatal, "invalid",
        fmt::format("agent_program: missing, {} needs the path of its program", json::name_of(config.agent_type)),
        "agent_program");
}

std::string pointer_to(const std::string& file, const Job& job) {
    return fmt::format(
        "Your task is in the file {}, which is too long for a message: {} bytes. Read all of it, piece by piece, and "
        "do "
        "what it says.",
        file, job.prompt.size());
}

std::string Agent::input(const Job& job) const { return job.prompt; }

std::map<std::string, std::string> Agent::environment(const contracts::WrapperConfig&, const std::string&) const {
    return {};
}

const Agent& agent_of(AgentType type) {
    static const std::array<std::pair<AgentType, std::unique_ptr<const Agent>>, 4> agents{{
        {AgentType::claude, std::make_unique<Claude>()},
        {AgentType::factory, std::make_unique<Factory>()},
        {AgentType::codex, std::make_unique<Codex>()},
        {AgentType::custom, std::make_unique<Custom>()},
    }};
    for (const auto& [of, agent] : agents)
        if (of == type) return *agent;
    std::unreachable();
}

}  // namespace codegen::wrapper
