// What a wrapper leaves in its worker's state directory. It was written by the other side of the wall's door: regular
// files only, no symlinks, bounded.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "shared/base/result.hpp"
#include "shared/contracts/wrapper_config.hpp"

namespace codegen::worker_manager {

inline constexpr std::size_t kResultFileLimit = 16u << 20;

// state/result-<request_id>.json. Errors: "not_found"; what does not validate is "invalid".
Result<contracts::ResultFile> read_result(const std::filesystem::path& state, const std::string& request_id);
bool has_result(const std::filesystem::path& state);
// Whether the wrapper knows that Redis took it. Redis may have lost it since.
bool was_published(const std::filesystem::path& state, const std::string& request_id);
// The newest one. "not_found": the worker has finished nothing.
Result<contracts::ResultFile> last_result(const std::filesystem::path& state);
// Whether the wrapper has taken this one up.
bool was_begun(const std::filesystem::path& state, const std::string& request_id);
// Whether the wrapper has taken up any request.
bool any_request_begun(const std::filesystem::path& state);

}  // namespace codegen::worker_manager
