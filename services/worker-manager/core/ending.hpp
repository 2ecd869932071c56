// Why a worker's body ended without its wrapper having said so. Pure.
#pragma once
#include <optional>
#include <string>

#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/contracts/vocabulary.hpp"

namespace codegen::worker_manager {

struct Ending {
    contracts::FailureReason reason{};
    std::string error;  // one line for people
};

// docs/protocols.md, "Who notices": 137 with the mark: out of memory; 137 or 143 without it, or nobody saw: killed;
// 1..127: the wrapper failed.
Ending judge_ending(std::optional<int> exit_code, bool out_of_memory, std::int64_t memory_limit);

}  // namespace codegen::worker_manager
