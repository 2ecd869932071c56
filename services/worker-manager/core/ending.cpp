#include "services/worker-manager/core/ending.hpp"

#include <fmt/format.h>

namespace codegen::worker_manager {

Ending judge_ending(std::optional<int> exit_code, bool out_of_memory, std::int64_t memory_limit) {
    using contracts::FailureReason;
    if (out_of_memory)
        return {FailureReason::out_of_memory,
                fmt::format("the worker ran out of memory (limit {} bytes)", memory_limit)};
    if (!exit_code) return {FailureReason::killed, "the worker is gone; nobody saw it end"};
    if (*exit_code > 128)
        return {FailureReason::killed, fmt::format("the worker was killed by signal {}", *exit_code - 128)};
    if (*exit_code == 0) return {FailureReason::killed, "the worker was stopped before it had a result"};
    return {FailureReason::infrastructure, fmt::format("the worker's wrapper ended with exit code {}", *exit_code)};
}

}  // namespace codegen::worker_manager
