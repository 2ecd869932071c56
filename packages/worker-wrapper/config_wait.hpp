// A worker that was prepared before anybody asked for it: its wrapper runs already and has no configuration yet.
#pragma once
#include <filesystem>

#include "shared/base/result.hpp"

namespace codegen::wrapper {

// Blocks until `config` is there, written whole by a rename into its folder, which exists. False: SIGTERM, SIGINT or
// SIGHUP came first. Leaves the signal mask as it was.
Result<bool> wait_for_config(const std::filesystem::path& config);

}  // namespace codegen::wrapper
