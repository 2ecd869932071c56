// What is started for a request: command, environment and files of the agent, and the two git calls after it. Pure.
#pragma once
#include <optional>
#include <string>

#include "packages/worker-wrapper/launch_plan.hpp"
#include "shared/contracts/wrapper_config.hpp"

namespace codegen::wrapper {

// One request, whatever the type of the worker.
struct Job {
    std::string request_id;
    std::string prompt;
    std::int64_t timeout_seconds = 1800;
    std::optional<contracts::DeveloperWorkerInput> developer;
    std::optional<contracts::POWorkerInput> product_owner;
    std::string stream;       // where it came from
    std::string group;        // and the group that owns it
    std::string entry_id;     // to acknowledge
    std::string traceparent;  // what it came with, or empty
    int attempt = 1;
    bool continues_session = false;  // its conversation was begun before
    bool session_lost = false;       // known before the agent is started: its files are gone
    // What its conversation had used before; absent: it goes on with one that was begun elsewhere.
    std::optional<contracts::AgentUsage> session_usage = contracts::AgentUsage{};
};

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
