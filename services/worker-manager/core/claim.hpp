// Does a claimed commit hold? Pure.
#pragma once
#include <string_view>

#include "shared/base/result.hpp"

namespace codegen::worker_manager {

struct ClaimFacts {
    bool exists = false;   // in the bundle or the project
    bool in_head = false;  // reachable from the worker's HEAD
    bool in_base = false;  // reachable from what the worker was given
};

// 7 to 64 lower-case or upper-case hex digits; anything else cannot be a commit.
bool is_claimable(std::string_view sha);
// Codes: "commit_missing" (no such commit, or not in base..HEAD), "no_commit" (it is the base's own).
Result<void> judge_claimed_commit(std::string_view claimed, const ClaimFacts& facts);

}  // namespace codegen::worker_manager
