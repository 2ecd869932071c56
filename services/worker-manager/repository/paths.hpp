// How many paths a git tree expands to, without expanding it: a tree that occurs often is counted once. Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "shared/base/result.hpp"

namespace codegen::worker_manager {

// `batch`: trees as `git cat-file --batch` writes them ("<id> tree <size>\n<content>\n"); `first` and `second` are ids
// of two of them. Files and folders count, each as often as it has a path. Saturates at kCountlessPaths.
inline constexpr std::uint64_t kCountlessPaths = 1'000'000'000'000'000;
// Error: code "commit_rejected".
Result<std::pair<std::uint64_t, std::uint64_t>> count_paths(std::string_view batch, const std::string& first,
                                                            const std::string& second);

}  // namespace codegen::worker_manager
