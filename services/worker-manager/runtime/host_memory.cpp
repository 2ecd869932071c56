#include "services/worker-manager/runtime/host_memory.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

namespace codegen::worker_manager {
namespace fs = std::filesystem;

namespace {

std::optional<std::string> content(const fs::path& file) {
    std::ifstream in(file);
    if (!in) return std::nullopt;
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

// The number behind `key` at the start of a line: "MemTotal:  24683412 kB", "inactive_file 4096".
std::optional<std::int64_t> number_of(std::string_view text, std::string_view key) {
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with(key)) continue;
        std::istringstream rest(line.substr(key.size()));
        if (std::int64_t number = 0; rest >> number) return number;
    }
    return std::nullopt;
}

// "max" and the absent are no limit; version 1 writes a huge number instead.
std::optional<std::int64_t> limit_in(const fs::path& file) {
    const auto text = content(file);
    std::int64_t bytes = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), bytes).ec != std::errc{})
        return std::nullopt;
    return bytes < std::numeric_limits<std::int64_t>::max() / 2 ? std::optional(bytes) : std::nullopt;
}

}  // namespace

std::optional<HostMemory> parse_meminfo(std::string_view text) {
    const auto total = number_of(text, "MemTotal:");
    const auto available = number_of(text, "MemAvailable:");
    if (!total || !available) return std::nullopt;
    return HostMemory{*total << 10, *available << 10};
}

HostMemory within_cgroup(HostMemory host, const CgroupBase& group) {
    const bool unified = group.kind == CgroupBase::Kind::unified;
    const auto* const limit_file = unified ? "memory.max" : "memory.limit_in_bytes";
    const auto* const usage_file = unified ? "memory.current" : "memory.usage_in_bytes";
    const auto* const reclaimable = unified ? "inactive_file " : "total_inactive_file ";
    // The root group of version 2 has neither file, that of version 1 no limit.
    for (fs::path at = group.directory; fs::exists(at / "cgroup.procs"); at = at.parent_path()) {
        const auto limit = limit_in(at / limit_file);
        const auto usage = limit_in(at / usage_file);
        if (!limit || !usage) continue;
        const auto cached = number_of(content(at / "memory.stat").value_or(""), reclaimable).value_or(0);
        host.total = std::min(host.total, *limit);
        host.available =
            std::min(host.available, std::max<std::int64_t>(0, *limit - std::max<std::int64_t>(0, *usage - cached)));
    }
    return host;
}

std::optional<HostMemory> read_host_memory(bool of_our_group) {
    auto host = parse_meminfo(content("/proc/meminfo").value_or(""));
    if (!host || !of_our_group) return host;
    // Where we are, whoever we are.
    for (const auto& base :
         cgroup_bases(content("/proc/self/cgroup").value_or(""), content("/proc/self/mountinfo").value_or(""), false))
        if (base.kind == CgroupBase::Kind::unified || base.kind == CgroupBase::Kind::memory)
            host = within_cgroup(*host, base);
    return host;
}

}  // namespace codegen::worker_manager
