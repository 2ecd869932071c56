#include <fmt/format.h>

#include <array>
#include <utility>

#include "packages/worker-wrapper/agents/agent.hpp"
#include "packages/worker-wrapper/agents/claude/claude.hpp"
#include "packages/worker-wrapper/agents/custom/custom.hpp"
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

std::map<std::string, std::string> Agent::environment(const contracts::WrapperConfig&, const std::string&) const {
    return {};
}

const Agent* find_agent(AgentType type) {
    static const std::array<std::pair<AgentType, std::unique_ptr<const Agent>>, 2> kAgents{{
        {AgentType::claude, std::make_unique<Claude>()},
        {AgentType::custom, std::make_unique<Custom>()},
    }};
    for (const auto& [of, agent] : kAgents)
        if (of == type) return agent.get();
    return nullptr;
}

}  // namespace codegen::wrapper
