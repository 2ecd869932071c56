#include "services/worker-manager/core/ending.hpp"

#include <fmt/format.h>

namespace codegen::worker_manager {

Ending judge_ending(std::optional<int> exit_code, bool out_of_memory, std::int64_t memory_limit) {
    using contracts::FailureReason;
    // The mark alone says that something in there ran out of memory, not what ended the wrapper.
    if (out_of_memory && exit_code.value_or(137) == 137)
        return {FailureReason::out_of_memory,
                fmt::format("the worker ran out of memory (limit {} bytes)", memory_limit)};
    if (!exit_code) return {FailureReason::killed, "the worker is gone; nobody saw it end"};
    if (*exit_code == 143) return {FailureReason::killed, "the worker was terminated (SIGTERM)"};
    // What a shell shows for a signal; an engine that lost sight of a body says 255.
    if (*exit_code > 128 && *exit_code <= 192)
        return {FailureReason::killed, fmt::format("the worker was killed by signal {}", *exit_code - 128)};
    if (*exit_code > 127)
        return {FailureReason::killed, fmt::format("the worker is gone; the engine only says {}", *exit_code)};
    if (*exit_code == 0) return {FailureReason::killed, "the worker was stopped before it had a result"};
    return {FailureReason::infrastructure, fmt::format("the worker's wrapper ended with exit code {}", *exit_code)};
}

}  // namespace codegen::worker_manager
