#include "packages/worker-wrapper/oom.hpp"

#include <charconv>
#include <fstream>
#include <sstream>

namespace codegen::wrapper {

std::optional<std::int64_t> parse_oom_kills(std::string_view text) {
    while (!text.empty()) {
        const auto end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        constexpr std::string_view kName = "oom_kill ";
        if (line.starts_with(kName)) {
            std::int64_t value = 0;
            const auto digits = line.substr(kName.size());
            if (std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc()) return value;
        }
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return std::nullopt;
}

std::int64_t oom_kills(const std::vector<std::filesystem::path>& directories) {
    std::int64_t total = 0;
    for (const auto& directory : directories) {
        for (const char* name : {"memory.oom_control", "memory.events"}) {
            std::ifstream file(directory / name);
            if (!file) continue;
            std::ostringstream text;
            text << file.rdbuf();
            total += parse_oom_kills(text.str()).value_or(0);
        }
    }
    return total;
}

std::vector<std::filesystem::path> memory_cgroups(const contracts::WrapperConfig& config) {
    if (config.sandbox) return {config.sandbox->cgroups.begin(), config.sandbox->cgroups.end()};
    if (config.process) return {config.process->cgroups.begin(), config.process->cgroups.end()};
    return {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"};
}

}  // namespace codegen::wrapper
