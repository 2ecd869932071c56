// How often the kernel's out-of-memory killer struck in the agent's memory cgroup (v1 and v2).
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "shared/contracts/wrapper_config.hpp"

namespace codegen::wrapper {

// The value of "oom_kill N" in memory.oom_control (v1) or memory.events (v2).
std::optional<std::int64_t> parse_oom_kills(std::string_view text);
// The sum over the directories; those without such a file count 0. Docker: the container's own, in `config.sandbox`'s
// absence.
std::int64_t oom_kills(const std::vector<std::filesystem::path>& directories);
std::vector<std::filesystem::path> memory_cgroups(const contracts::WrapperConfig& config);

}  // namespace codegen::wrapper
