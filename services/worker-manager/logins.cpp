// auth_mode host_session: instead of a key at the gateway, a login that the operator keeps in a directory of this host
// (HOST_SESSIONS). The agent may write it, as its program renews it there; so one worker at a time has it, and its tree
// belongs to that worker's uid meanwhile. Everything else stays as it is: no network, the gateway's list of hosts.
#include <fmt/format.h>
#include <unistd.h>

#include "services/worker-manager/manager.hpp"
#include "services/worker-manager/repository/tree.hpp"
#include "shared/agents/agent.hpp"
#include "shared/json/enum.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

constexpr std::chrono::milliseconds kLook{100};

bool wants_login(const Worker& worker) { return worker.command.config.auth_mode == contracts::AuthMode::host_session; }

}  // namespace

Result<void> Manager::check_login(const contracts::WorkerConfig& config) const {
    if (config.auth_mode != contracts::AuthMode::host_session) return {};
    const auto refused = [](std::string why) {
        return fail(ErrorCategory::permanent, "invalid", "config.auth_mode: \"host_session\" " + why,
                    "config.auth_mode");
    };
    const auto agent = json::name_of(config.agent_type);
    if (!options_.host_sessions.contains(config.agent_type))
        return refused(fmt::format(
            "is not allowed here for agent {}; leave it out, the gateway holds the key. An operator who lends "
            "a login to agents names its directory: HOST_SESSIONS={}=DIRECTORY",
            agent, agent));
    if (runtime_->name() == "process")
        return refused("needs a wall around the agent; plain processes have none, use Docker or the sandbox");
    return {};
}

// Waits while another worker has it.
Task<Result<void>> Manager::take_login(WorkerPtr worker, AgentIdentity agent) {
    if (!wants_login(*worker)) co_return Result<void>{};
    // The operator may have taken it back since the create command was read.
    if (auto still = check_login(worker->command.config); !still) co_return still;
    const auto type = worker->command.config.agent_type;
    const auto directory = options_.host_sessions.at(type);
    const auto deadline = std::chrono::steady_clock::now() + options_.creation_timeout;
    for (;;) {
        std::string holder;
        for (const auto& [id, other] : workers_)
            if (other != worker && other->has_login && other->command.config.agent_type == type) holder = id;
        if (holder.empty()) break;
        if (std::chrono::steady_clock::now() > deadline)
            co_return fail(ErrorCategory::permanent, "busy",
                           fmt::format("the login in {} is still worker {}'s; one worker at a time has it",
                                       directory.string(), holder));
        co_await async::sleep_for(kLook);
    }
    worker->has_login = true;
    // Where it is mounted; made here, or an engine would make it root's.
    const auto place = directories(worker->row.worker_id).home() / agents::agent_of(type).description().profile;
    if (auto made = posix::make_directory(place, 0700); !made) co_return made;
    if (::geteuid() == 0 && ::lchown(place.c_str(), static_cast<uid_t>(agent.uid), static_cast<gid_t>(agent.gid)) != 0)
        co_return posix::errno_error("set the owner of " + place.string(), errno);
    auto given = co_await give_tree(directory, agent);
    if (!given) co_return std::unexpected(in_context(given.error(), "HOST_SESSIONS"));
    co_return given;
}

// Of a worker that a former manager made.
void Manager::find_login_again(Worker& worker) const {
    worker.has_login = wants_login(worker) && !worker.row.ended && worker.created() &&
                       options_.host_sessions.contains(worker.command.config.agent_type);
}

void Manager::lend_login(const Worker& worker, BodySpec& spec) const {
    const auto type = worker.command.config.agent_type;
    const auto login = options_.host_sessions.find(type);
    if (!worker.has_login || login == options_.host_sessions.end()) return;
    spec.login = login->second;
    spec.config.login = agents::agent_of(type).description().profile;
}

}  // namespace codegen::worker_manager
