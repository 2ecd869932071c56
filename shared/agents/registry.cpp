#include <fmt/format.h>

#include <utility>

#include "shared/agents/job.hpp"
#include "shared/agents/makers.hpp"
#include "shared/json/enum.hpp"

namespace codegen::agents {

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
        "do what it says.",
        file, job.prompt.size());
}

std::string Agent::input(const Job& job) const { return job.prompt; }

std::map<std::string, std::string> Agent::environment(const contracts::WrapperConfig&, const std::string&) const {
    return {};
}

const Agent& agent_of(AgentType type) {
#define CODEGEN_AGENT(r, data, name) std::pair(AgentType::name, BOOST_PP_CAT(make_, name)()),
    static const std::pair<AgentType, std::unique_ptr<const Agent>> agents[] = {
        BOOST_PP_SEQ_FOR_EACH(CODEGEN_AGENT, , CODEGEN_AGENT_TYPES)};
#undef CODEGEN_AGENT
    for (const auto& [of, agent] : agents)
        if (of == type) return *agent;
    std::unreachable();
}

}  // namespace codegen::agents
