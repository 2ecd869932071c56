#include "services/worker-manager/core/claim.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace codegen::worker_manager {

bool is_claimable(std::string_view sha) {
    return sha.size() >= 7 && sha.size() <= 64 &&
           std::ranges::all_of(sha, [](unsigned char c) { return std::isxdigit(c) != 0; });
}

Result<void> judge_claimed_commit(std::string_view claimed, const ClaimFacts& facts) {
    if (facts.exists && facts.in_base)
        return fail(ErrorCategory::permanent, "no_commit",
                    fmt::format("the claimed commit {} was there before the worker began", claimed));
    if (!facts.exists || !facts.in_head)
        return fail(ErrorCategory::permanent, "commit_missing",
                    fmt::format("the claimed commit {} is not among the worker's new commits", claimed));
    return {};
}

}  // namespace codegen::worker_manager
