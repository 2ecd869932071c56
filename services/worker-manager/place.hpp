// The directories of one worker, as bodies expect them.
#pragma once
#include "services/worker-manager/runtime/worker_runtime.hpp"

namespace codegen::worker_manager {

// Makes root, state and home, and removes what stood there, of an earlier attempt that nobody undid.
Task<Result<void>> make_place(WorkerDirectories place, AgentIdentity agent);

// The same for a body that is made before its worker is known: with an empty workspace and a gateway that nobody
// serves.
Task<Result<void>> make_prepared_place(WorkerDirectories place, AgentIdentity agent);

}  // namespace codegen::worker_manager
