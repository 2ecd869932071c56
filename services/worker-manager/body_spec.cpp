// What a worker's body is made of, as its create command says.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "services/worker-manager/core/context.hpp"
#include "services/worker-manager/manager.hpp"
#include "shared/json/enum.hpp"

namespace codegen::worker_manager {

// Whether nothing of it must be known before its body starts: a home, an image, a socket or a login of its own.
bool Manager::can_be_prepared(const Worker& worker) const {
    const auto& command = worker.command;
    const bool resumes = command.workspace && command.workspace->resume.value_or(false);
    return command.config.worker_type == contracts::WorkerType::developer && !command.config.image && !resumes &&
           !from_context(command, "session_id") && !wants_docker(command.config) &&
           command.config.auth_mode != contracts::AuthMode::host_session;
}

std::string Manager::kind_of(const Worker& worker) const {
    const auto& config = worker.command.config;
    const auto spec = body_spec(worker, {});
    std::vector<std::string> capabilities;
    for (const auto capability : config.capabilities) capabilities.emplace_back(json::name_of(capability));
    std::ranges::sort(capabilities);
    return fmt::format("{} {} [{}] {} {} {} {}", json::name_of(config.agent_type), config.image.value_or(""),
                       fmt::join(capabilities, ","), spec.limits.memory_bytes, spec.limits.cpus, spec.limits.processes,
                       spec.network);
}

std::size_t Manager::room_for_prepared() const {
    if (!admission_.waiting().empty() || admission_.in_use() >= admission_.slots()) return 0;
    return admission_.slots() - admission_.in_use();
}

BodySpec Manager::body_spec(const Worker& worker, AgentIdentity agent) const {
    const auto& config = worker.command.config;
    const auto& id = worker.row.worker_id;
    BodySpec spec;
    spec.worker_id = id;
    spec.installation = options_.installation;
    spec.host = options_.host;
    spec.attempt = worker.row.attempt;
    spec.image = worker.row.image;
    spec.agent_type = config.agent_type;
    spec.directories = directories(id);
    spec.programs = programs_;
    spec.network = config.network.value_or(options_.network);
    spec.engine_socket = options_.docker_socket && wants_docker(config);
    if (wants_docker(config)) spec.engine_runtime = options_.docker_isolation;
    spec.limits = limits_of(config).value_or(options_.limits);  // check() was before

    // None of it is a secret (docs/protocols.md, "Environment of a worker").
    auto& environment = spec.environment;
    environment = {{"WORKER_ID", id},
                   {"WORKER_TYPE", std::string(json::name_of(config.worker_type))},
                   {"AGENT_TYPE", std::string(json::name_of(config.agent_type))},
                   {"REDIS_URL", "unix:///run/codegen/wrapper/redis.sock"},
                   {"API_URL", "http+unix:///run/codegen/http.sock"},
                   {"ALLOWED_COMMANDS", fmt::format("{}", fmt::join(config.allowed_commands, ","))}};
    auto& wrapper = spec.config;
    const auto pass = [&](const std::string& name, const std::string& variable, std::optional<std::string>& field) {
        field = from_context(worker.command, name);
        if (field && !variable.empty()) environment[variable] = *field;
    };
    pass("task_id", "TASK_ID", wrapper.task_id);
    pass("project_id", "PROJECT_ID", wrapper.project_id);
    pass("user_id", "USER_ID", wrapper.user_id);
    pass("model", "", wrapper.model);
    if (const auto& session = worker.session; !session.session_id.empty()) {
        environment["SESSION_ID"] = session.session_id;
        wrapper.session_id = session.session_id;
        wrapper.session_named = session.named;
        wrapper.session_lost = session.lost;
    }
    wrapper.session_ttl_s = options_.session_ttl.count();
    wrapper.worker_id = id;
    wrapper.worker_type = config.worker_type;
    wrapper.agent_type = config.agent_type;
    wrapper.agent_uid = agent.uid;
    wrapper.agent_gid = agent.gid;
    if (!worker.row.base_sha.empty()) wrapper.base_sha = worker.row.base_sha;
    wrapper.instructions = config.instructions;
    wrapper.allowed_commands = config.allowed_commands;
    wrapper.env_vars = config.env_vars;
    wrapper.pool = reads_pool(worker.command);
    wrapper.one_task = config.worker_type == contracts::WorkerType::developer && !wrapper.pool;
    for (const auto& provider : options_.providers)
        if (!provider.key_value.empty()) wrapper.providers.push_back(provider.name);
    wrapper.command = config.command.value_or(std::vector<std::string>{});
    wrapper.bundle_limit = options_.collect.bundle_bytes;
    wrapper.record_limit = static_cast<std::int64_t>(options_.people.evidence.record_bytes);
    wrapper.memory_limit = spec.limits.memory_bytes;
    wrapper.provider_environment = options_.provider_environment;
    lend_login(worker, spec);
    return spec;
}

}  // namespace codegen::worker_manager
