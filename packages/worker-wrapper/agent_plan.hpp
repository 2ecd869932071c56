// What is started for a request: command, environment and files of the agent, and the two git calls after it. Pure.
#pragma once
#include <optional>
#include <string>

#include "packages/worker-wrapper/launch_plan.hpp"
#include "shared/contracts/wrapper_config.hpp"

namespace codegen::wrapper {

// Error "invalid": the configuration cannot run this agent (no program, no command, a type this build does not know).
Result<void> check_config(const contracts::WrapperConfig& config);

std::map<std::string, std::string> agent_environment(const contracts::WrapperConfig& config, const Job& job,
                                                     const std::string& session_id);
LaunchPlan agent_plan(const contracts::WrapperConfig& config, const Job& job, const std::string& session_id);

// Settings by environment that a hostile repository cannot override with its own configuration.
std::map<std::string, std::string> git_environment(const contracts::WrapperConfig& config);
LaunchPlan git_plan(const contracts::WrapperConfig& config, std::vector<std::string> arguments);

// What the worker may use while it works on `job`: of its configuration, what the request permits too. Null: no
// request.
std::vector<std::string> commands_of(const contracts::WrapperConfig& config, const Job* job);

}  // namespace codegen::wrapper
