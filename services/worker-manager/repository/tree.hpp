// Whole directory trees, by the system's own tools in a process of their own: a tree may have a hundred thousand files,
// and nothing may block the loop. None of them follows a symlink.
#pragma once
#include <filesystem>

#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/async/async.hpp"

namespace codegen::worker_manager {

Task<Result<void>> remove_tree(std::filesystem::path path);  // not there: success
// Everything below and at `path` belongs to the agent afterwards. Not as root: nothing to do, it is ours already.
Task<Result<void>> give_tree(std::filesystem::path path, AgentIdentity owner);

}  // namespace codegen::worker_manager
