// The head of a git bundle file (git's Documentation/gitformat-bundle.txt) and of the pack behind it. Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"

namespace codegen::worker_manager {

struct BundleHead {
    std::vector<std::string> prerequisites;                 // shas
    std::vector<std::pair<std::string, std::string>> tips;  // sha, ref
    std::size_t pack_offset = 0;
    std::uint32_t objects = 0;
};

// `text`: the file's first bytes, at least kBundleHeadLimit of them or all. Error: code "commit_rejected".
inline constexpr std::size_t kBundleHeadLimit = 64u << 10;
Result<BundleHead> read_bundle_head(std::string_view text);

}  // namespace codegen::worker_manager
