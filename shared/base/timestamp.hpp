// Points in time as the wire and the store have them: UTC, microseconds.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace codegen {

using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

// Wall clock, injected where a test must own it. Default: system_now.
using Clock = std::function<Timestamp()>;
Timestamp system_now();

// RFC 3339; "2026-01-10T12:00:00[.digits][Z|+hh:mm]", a naive time is read as UTC. nullopt: not one.
std::optional<Timestamp> parse_timestamp(std::string_view text);
std::string format_timestamp(Timestamp t);  // "2026-01-10T12:00:00.123456Z"

inline std::int64_t to_micros(Timestamp t) { return t.time_since_epoch().count(); }
inline Timestamp from_micros(std::int64_t us) { return Timestamp(std::chrono::microseconds(us)); }

}  // namespace codegen
