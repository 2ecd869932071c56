// A worker's workspace: a clone that shares nothing with the project's repository.
#pragma once
#include <filesystem>
#include <string>

#include "shared/async/async.hpp"

namespace codegen::worker_manager {

struct CloneRequest {
    std::filesystem::path repository;  // the project's, bare
    std::string base_ref;              // branch, tag or commit; check_base_ref()ed
    std::string branch;                // HEAD of the clone
    std::filesystem::path directory;   // made; must not be there
};

// Its objects are copies (no hard links, no alternates), it has no remote, no hook and no credential. Returns the
// commit it starts from. Errors: "not_found" (no such ref), "git".
Task<Result<std::string>> clone_workspace(CloneRequest request);

}  // namespace codegen::worker_manager
