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

// Whether `command` ("result") is in the list of patterns: "*", "project.*", "result". Empty allows nothing.
bool allows(const std::vector<std::string>& patterns, std::string_view command);

}  // namespace codegen::wrapper
