// How much one worker may take. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/base/result.hpp"

namespace codegen::worker_manager {

// "512m", "2g", "1024k", "1073741824", "1.5g"; upper case and a final "b" or "ib" are read too.
Result<std::int64_t> parse_memory(std::string_view text);

// What the operator allows at most.
struct LimitCaps {
    std::int64_t memory_bytes = 8ll << 30;
    double cpus = 8.0;
    std::int64_t processes = 4096;
};

// Error "configuration" when a default is beyond its cap, or below what a worker needs.
Result<void> check_limits(const WorkerLimits& defaults, const LimitCaps& caps);

// The configuration's wishes over the defaults. Beyond a cap or below what any agent needs is an error that names both.
Result<WorkerLimits> worker_limits(const contracts::WorkerConfig& config, const WorkerLimits& defaults,
                                   const LimitCaps& caps);

}  // namespace codegen::worker_manager
