// How much memory this host has left for workers.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "services/worker-manager/runtime/cgroups.hpp"

namespace codegen::worker_manager {

struct HostMemory {
    std::int64_t total = 0;
    std::int64_t available = 0;  // what can be had without swapping; reclaimable caches count
};

// Of /proc/meminfo: MemTotal and MemAvailable (Linux 3.14). nullopt: not in there.
std::optional<HostMemory> parse_meminfo(std::string_view text);

// The lower of `host` and of the limits of `group` and the groups above it (memory.max or memory.limit_in_bytes, less
// what is used and cannot be reclaimed).
HostMemory within_cgroup(HostMemory host, const CgroupBase& group);

// `of_our_group`: workers live in the control plane's own cgroup, so its limits bind too. nullopt: this host does not
// say.
std::optional<HostMemory> read_host_memory(bool of_our_group);

}  // namespace codegen::worker_manager
