// For tests of agents: what one adds to the plan of a run.
#pragma once
#include "shared/agents/agent.hpp"
#include "shared/agents/job.hpp"

namespace codegen::agents {

inline LaunchPlan planned(const contracts::WrapperConfig& config, const Job& job = {},
                          const std::string& session_id = {}) {
    const auto& agent = agent_of(config.agent_type);
    LaunchPlan plan;
    plan.environment = agent.environment(config, "http://127.0.0.1:" + std::to_string(config.loopback_port));
    agent.plan(config, job, session_id, plan);
    return plan;
}

}  // namespace codegen::agents
