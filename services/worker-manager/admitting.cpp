// What a worker may take, and what this host has.
#include "services/worker-manager/manager.hpp"

namespace codegen::worker_manager {

Result<WorkerLimits> Manager::limits_of(const contracts::WorkerConfig& config) const {
    auto defaults = options_.limits;
    if (const auto own = options_.agent_memory.find(config.agent_type); own != options_.agent_memory.end())
        defaults.memory_bytes = own->second;
    return worker_limits(config, defaults, options_.limit_caps);
}

void Manager::ask_admission(const Worker& worker) {
    const auto limits = limits_of(worker.command.config).value_or(options_.limits);  // check() was before
    admission_.ask(worker.row.worker_id, worker.row.created_at, limits.memory_bytes);
}

std::optional<HostMemory> Manager::host_memory() const {
    return options_.host_memory ? options_.host_memory() : std::nullopt;
}

}  // namespace codegen::worker_manager
