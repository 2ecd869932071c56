#include "services/worker-manager/core/limits.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace codegen::worker_manager {
namespace {

constexpr std::int64_t kLeastMemory = 16ll << 20;  // below it not even the wrapper's helpers start
constexpr double kLeastCpus = 0.01;
constexpr std::int64_t kLeastProcesses = 16;

std::unexpected<Error> bad(std::string_view path, std::string message) {
    return fail(ErrorCategory::permanent, "invalid", fmt::format("{}: {}", path, message), std::string(path));
}

}  // namespace

Result<std::int64_t> parse_memory(std::string_view text) {
    const auto unreadable = [&] {
        return bad("config.memory_limit",
                   fmt::format("\"{}\" is not an amount of memory, expected e.g. 512m or 2g", text));
    };
    double number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc{} || !std::isfinite(number) || number <= 0) return unreadable();
    std::string unit(end, text.data() + text.size());
    for (auto& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    int shift = 0;
    if (unit == "k" || unit == "kb" || unit == "kib")
        shift = 10;
    else if (unit == "m" || unit == "mb" || unit == "mib")
        shift = 20;
    else if (unit == "g" || unit == "gb" || unit == "gib")
        shift = 30;
    else if (!unit.empty() && unit != "b")
        return unreadable();
    const double bytes = std::ldexp(number, shift);
    if (bytes >= std::ldexp(1.0, 62)) return unreadable();
    return static_cast<std::int64_t>(bytes);
}

Result<void> check_limits(const WorkerLimits& defaults, const LimitCaps& caps) {
    const auto check = [](std::string_view name, auto value, auto least, auto most) -> Result<void> {
        if (value >= least && value <= most) return {};
        return fail(
            ErrorCategory::fatal, "configuration",
            fmt::format("WORKER_{0}_LIMIT is {1}: expected {2} to {3} (WORKER_{0}_CAP)", name, value, least, most));
    };
    if (auto fine = check("MEMORY", defaults.memory_bytes, kLeastMemory, caps.memory_bytes); !fine) return fine;
    if (auto fine = check("CPU", defaults.cpus, kLeastCpus, caps.cpus); !fine) return fine;
    return check("PIDS", defaults.processes, kLeastProcesses, caps.processes);
}

Result<WorkerLimits> worker_limits(const contracts::WorkerConfig& config, const WorkerLimits& defaults,
                                   const LimitCaps& caps) {
    auto limits = defaults;
    if (config.memory_limit) {
        auto bytes = parse_memory(*config.memory_limit);
        if (!bytes) return std::unexpected(bytes.error());
        if (*bytes < kLeastMemory || *bytes > caps.memory_bytes)
            return bad("config.memory_limit", fmt::format("{} is {} bytes, allowed are {} to {}", *config.memory_limit,
                                                          *bytes, kLeastMemory, caps.memory_bytes));
        limits.memory_bytes = *bytes;
    }
    if (config.cpu_limit) {
        if (!(*config.cpu_limit >= kLeastCpus && *config.cpu_limit <= caps.cpus))
            return bad("config.cpu_limit",
                       fmt::format("{} CPUs, allowed are {} to {}", *config.cpu_limit, kLeastCpus, caps.cpus));
        limits.cpus = *config.cpu_limit;
    }
    if (config.pids_limit) {
        if (*config.pids_limit < kLeastProcesses || *config.pids_limit > caps.processes)
            return bad("config.pids_limit", fmt::format("{} processes, allowed are {} to {}", *config.pids_limit,
                                                        kLeastProcesses, caps.processes));
        limits.processes = *config.pids_limit;
    }
    return limits;
}

}  // namespace codegen::worker_manager
