// The programs that workers see at /opt/codegen/bin: a copy of their own, so that a rebuild or an upgrade of the
// control plane changes nothing under a worker that lives.
#pragma once
#include <filesystem>

#include "shared/base/result.hpp"

namespace codegen::worker_manager {

// Copies `orchestrator` and `worker-wrapper` of `source` to <into>/<hash of their contents>/ and returns that folder;
// one that is there already is used. Blocking; for the start.
Result<std::filesystem::path> install_programs(const std::filesystem::path& source, const std::filesystem::path& into);

}  // namespace codegen::worker_manager
