// How one event becomes one line. Pure.
#pragma once
#include <string>
#include <string_view>

#include "shared/base/timestamp.hpp"
#include "shared/logging/log.hpp"

namespace codegen::log {

// JSON: timestamp, level, service, message, correlation_id and trace_id of the current context (context.hpp), then the
// fields (a field of these names replaces them); invalid UTF-8
// becomes U+FFFD. Console: "<time> <level> <service>: <message> key=value"; control characters appear as \xNN. No
// newline at the end.
std::string format_line(Format format, Level level, Timestamp now, std::string_view service, std::string_view message,
                        Fields fields);

}  // namespace codegen::log
