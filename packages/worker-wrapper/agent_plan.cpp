#include "packages/worker-wrapper/agent_plan.hpp"

#include <algorithm>

#include "packages/worker-wrapper/agent_names.hpp"
#include "packages/worker-wrapper/sandbox.hpp"
#include "shared/contracts/permissions.hpp"
#include "shared/json/enum.hpp"

namespace codegen::wrapper {

using contracts::WrapperConfig;

namespace {

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
    std::string out;
    for (const auto& part : parts) {
        if (!out.empty()) out += separator;
        out += part;
    }
    return out;
}

std::string path_of(const WrapperConfig& config) {
    return config.path.empty() ? "/opt/codegen/bin:/usr/local/bin:/usr/bin:/bin" : joined(config.path, ":");
}

std::map<std::string, std::string> base_environment(const WrapperConfig& config) {
    return {{"HOME", std::string(kHome)},
            {"PATH", path_of(config)},
            {"LANG", "C.UTF-8"},
            {"TMPDIR", "/tmp"},
            {"USER", "agent"}};
}

}  // namespace

Result<void> check_config(const WrapperConfig& config) {
    auto bad = [](std::string path, std::string message) {
        return fail(ErrorCategory::fatal, "invalid", path + ": " + message, path);
    };
    if (auto able = agent_of(config.agent_type).check(config); !able) return able;
    if (config.heartbeat_ms <= 0)
        return bad("heartbeat_ms", std::to_string(config.heartbeat_ms) + " is not a positive time");
    if (config.kill_grace_ms < 0) return bad("kill_grace_ms", std::to_string(config.kill_grace_ms) + " is negative");
    if (config.loopback_port < (config.process ? 0 : 1) || config.loopback_port > 65535)
        return bad("loopback_port", std::to_string(config.loopback_port) + " is no port, expected 1..65535");
    if (config.sandbox && config.sandbox->wrapper_program.empty()) return bad("sandbox.wrapper_program", "empty");
    if (config.sandbox && config.process) return bad("process", "and \"sandbox\": a worker is one of them");
    if (!config.sandbox && config.agent_uid == 0) return bad("agent_uid", "0, the agent must not run as root");
    return {};
}

std::map<std::string, std::string> agent_environment(const WrapperConfig& config, const Job& job,
                                                     const std::string& session_id) {
    const std::string loopback = "http://127.0.0.1:" + std::to_string(config.loopback_port);
    auto out = base_environment(config);
    for (std::string_view name : {"HTTPS_PROXY", "https_proxy"}) out.emplace(name, loopback);
    for (std::string_view name : {"NO_PROXY", "no_proxy"}) out.emplace(name, "127.0.0.1,localhost");
    for (std::string_view who : {"AUTHOR", "COMMITTER"}) {
        out.emplace("GIT_" + std::string(who) + "_NAME", "Codegen Agent");
        out.emplace("GIT_" + std::string(who) + "_EMAIL", "agent@codegen.invalid");
    }
    out.emplace("GIT_TERMINAL_PROMPT", "0");
    if (config.own_engine) out.emplace("DOCKER_HOST", "unix://" + std::string(contracts::kInnerEngineSocket));
    out.merge(agent_of(config.agent_type).environment(config, loopback));
    for (const auto& [name, value] : config.env_vars) out.insert_or_assign(name, value);
    for (const auto& [name, value] : config.provider_environment) out.insert_or_assign(name, value);
    // Who the worker is cannot be changed by a configuration.
    auto set = [&](std::string_view name, std::string value) {
        out.insert_or_assign(std::string(name), std::move(value));
    };
    set("WORKER_ID", config.worker_id);
    set("WORKER_TYPE", std::string(json::name_of(config.worker_type)));
    set("AGENT_TYPE", std::string(json::name_of(config.agent_type)));
    set("API_URL", "http+unix:///run/codegen/http.sock");
    set("CODEGEN_GATEWAY", std::string(kGateway));
    set("ALLOWED_COMMANDS", joined(commands_of(config, &job), ","));
    set("REQUEST_ID", job.request_id);
    if (!job.traceparent.empty()) set("TRACEPARENT", job.traceparent);
    if (!session_id.empty()) set("SESSION_ID", session_id);
    std::optional<std::string> user = config.user_id;
    if (job.product_owner) user = std::to_string(job.product_owner->user_id);
    if (user) set("USER_ID", *user);
    const auto task = job.developer ? std::optional(job.developer->task_id) : config.task_id;
    const auto project = job.developer ? std::optional(job.developer->project_id) : config.project_id;
    if (task) set("TASK_ID", *task);
    if (project) set("PROJECT_ID", *project);
    set("HOME", std::string(kHome));
    for (const auto& [name, value] : config.image_environment) out.emplace(name, value);
    return out;
}

LaunchPlan agent_plan(const WrapperConfig& config, const Job& job, const std::string& session_id) {
    LaunchPlan plan;
    plan.environment = agent_environment(config, job, session_id);
    plan.directory = std::string(kWorkspace);
    agent_of(config.agent_type).plan(config, job, session_id, plan);
    if (config.sandbox) {
        plan.forwarder =
            PlannedForwarder{config.loopback_port, std::string(kGateway) + "/http.sock", config.gateway_wait_ms};
        if (config.sandbox->cgroups.empty()) plan.max_processes = config.sandbox->max_processes;
    }
    return plan;
}

std::map<std::string, std::string> git_environment(const WrapperConfig& config) {
    auto out = base_environment(config);
    out["PATH"] = "/usr/local/bin:/usr/bin:/bin";
    out["GIT_CONFIG_NOSYSTEM"] = "1";
    out["GIT_CONFIG_GLOBAL"] = "/dev/null";
    out["GIT_TERMINAL_PROMPT"] = "0";
    out["GIT_OPTIONAL_LOCKS"] = "0";
    out["GIT_NO_REPLACE_OBJECTS"] = "1";
    const std::vector<std::pair<std::string, std::string>> settings{{"safe.directory", "*"},
                                                                    {"core.hooksPath", "/dev/null"},
                                                                    {"core.fsmonitor", "false"},
                                                                    {"pack.threads", "1"},
                                                                    {"core.alternateRefsCommand", "true"}};
    out["GIT_CONFIG_COUNT"] = std::to_string(settings.size());
    for (std::size_t i = 0; i < settings.size(); ++i) {
        out["GIT_CONFIG_KEY_" + std::to_string(i)] = settings[i].first;
        out["GIT_CONFIG_VALUE_" + std::to_string(i)] = settings[i].second;
    }
    return out;
}

LaunchPlan git_plan(const WrapperConfig& config, std::vector<std::string> arguments) {
    LaunchPlan plan;
    plan.argv = {"git"};
    plan.argv.insert(plan.argv.end(), arguments.begin(), arguments.end());
    plan.environment = git_environment(config);
    plan.directory = std::string(kWorkspace);
    if (config.sandbox && config.sandbox->cgroups.empty()) plan.max_processes = config.sandbox->max_processes;
    return plan;
}

std::vector<std::string> commands_of(const WrapperConfig& config, const Job* job) {
    if (job == nullptr || !job->developer || !job->developer->allowed_commands) return config.allowed_commands;
    return contracts::allowed_by_both(config.allowed_commands, *job->developer->allowed_commands);
}

}  // namespace codegen::wrapper
