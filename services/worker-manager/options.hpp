// What a worker-manager is told (docs/configuration.md).
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/worker-manager/core/idleness.hpp"
#include "services/worker-manager/core/limits.hpp"
#include "services/worker-manager/gateway/settings.hpp"
#include "services/worker-manager/images.hpp"
#include "services/worker-manager/people/options.hpp"
#include "services/worker-manager/repository/collect.hpp"
#include "services/worker-manager/runtime/host_memory.hpp"
#include "shared/contracts/wrapper_config.hpp"
#include "shared/redis/client.hpp"

namespace codegen::clients {
class GitHubClient;
}

namespace codegen::worker_manager {

struct Options {
    std::filesystem::path state_directory;  // of the control plane
    std::filesystem::path programs_source;  // folder with `orchestrator` and `worker-wrapper`
    std::string installation;               // whose workers these are
    std::string host = "local";
    std::string instance;  // consumer name, stable over restarts
    redis::Address redis;  // with the manager's own rights
    std::string api_url;
    std::string service_token;
    std::shared_ptr<clients::GitHubClient> github;  // GITHUB_*; null: only local repositories

    std::size_t max_workers = 10;                        // MAX_CONCURRENT_WORKERS
    std::chrono::milliseconds creation_timeout{300000};  // waiting for a slot; then no_capacity
    std::size_t warm_pool = 0;                           // WARM_POOL: prepared workers of each kind asked for lately
    // SIGTERM to SIGKILL when a worker is removed: the wrapper's own grace for its agent, and then time to write the
    // result and to send it, which it gives up after 3 s.
    std::chrono::milliseconds kill_grace{contracts::WrapperConfig{}.kill_grace_ms + 4000};
    std::chrono::milliseconds sweep_interval{2000};
    std::chrono::seconds token_life{7 * 24 * 3600};  // of a worker's token at the API; renewed at half of it
    std::chrono::seconds session_ttl{7200};          // WORKER_SESSION_TTL: how long an unused conversation is kept
    IdleLimits idle;                                 // WORKER_IDLE_PAUSE, WORKER_IDLE_REMOVE
    // The host's memory now; empty: not looked at before a worker starts (WORKER_MEMORY_CHECK).
    std::function<std::optional<HostMemory>()> host_memory;
    std::chrono::milliseconds memory_interval{500};             // how often, while somebody waits for it
    WorkerLimits limits;                                        // defaults of a worker
    std::map<contracts::AgentType, std::int64_t> agent_memory;  // bytes; over limits.memory_bytes
    LimitCaps limit_caps;
    std::map<contracts::AgentType, std::filesystem::path> host_sessions;  // HOST_SESSIONS: where logins lie
    // DOCKER_CAPABILITY=socket: workers with the capability docker get the engine's socket, which is root on this host.
    bool docker_socket = false;
    // DOCKER_CAPABILITY=runtime:NAME: they run in this isolating OCI runtime and have an engine of their own inside.
    std::string docker_isolation;
    ImagePolicy images;
    Clock now = system_now;                     // of what is done once a day
    std::string network = "none";               // WORKER_NETWORK: what a worker without `network` gets
    std::vector<std::string> allowed_networks;  // WORKER_NETWORKS: what else a configuration may name

    std::vector<std::string> egress_allow;  // EGRESS_ALLOW
    std::vector<ModelProvider> providers;
    std::int64_t max_tokens_per_task = 0;                 // MAX_TOKENS_PER_TASK; 0: no limit
    std::chrono::milliseconds provider_patience{120000};  // PROVIDER_PATIENCE; 0: endless
    CollectLimits collect;
    std::map<std::string, std::string> provider_environment;  // settings for agents, never a key
    PeopleOptions people;
};

}  // namespace codegen::worker_manager
