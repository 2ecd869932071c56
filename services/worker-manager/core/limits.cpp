#include "services/worker-manager/core/limits.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace codegen::worker_manager {
namespace {

constexpr std::int64_t kLeastMemory = 16ll << 20;  // below it not even the wrapper's helpers start
constexpr double kLeastCpus = 0.01;

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
    return limits;
}

}  // namespace codegen::worker_manager
