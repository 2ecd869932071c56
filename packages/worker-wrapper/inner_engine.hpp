// Capability docker under an isolating OCI runtime: a Docker engine of the worker's own, started by PID 1 and gone with
// the body. The agent uses it through its group; who has it is root in this body, and nowhere else.
#pragma once
#include "shared/base/result.hpp"
#include "shared/contracts/wrapper_config.hpp"

namespace codegen::wrapper {

// Blocks until the engine answers at contracts::kInnerEngineSocket, 30 s at most. Its log: <state>/engine.log. Errors:
// "spawn", "unavailable" with its last line. It stays a child of this process.
Result<void> start_inner_engine(const contracts::WrapperConfig& config);

}  // namespace codegen::wrapper
