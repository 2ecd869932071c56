// Which commands a caller may use (docs/protocols.md, "The orchestrator command"). Pure. The early, friendly refusal:
// what binds is checked by the server side.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codegen::cli {

// Comma-separated patterns and profile names ("PRODUCT_OWNER", "DEVELOPER", "DEVOPS") -> patterns, in order, once each.
std::vector<std::string> parse_allowed_commands(std::string_view text);
// "*" is all, "project.*" a group, "project.list" itself ("engineering.trigger" is read as engineering.start).
bool is_allowed(const std::vector<std::string>& patterns, std::string_view permission);

}  // namespace codegen::cli
