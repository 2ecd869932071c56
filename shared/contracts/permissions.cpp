#include "shared/contracts/permissions.hpp"

#include <algorithm>

namespace codegen::contracts {
namespace {

std::string_view newer_name(std::string_view command) {
    return command == "engineering.trigger" ? "engineering.start" : command;
}

// Of a pattern too: whether everything in it is in the other.
bool matches(std::string_view pattern, std::string_view command) {
    if (pattern == "*" || pattern == command) return true;
    return pattern.ends_with(".*") && command.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace

bool allows(const std::vector<std::string>& patterns, std::string_view command) {
    return std::ranges::any_of(
        patterns, [&](std::string_view pattern) { return matches(newer_name(pattern), newer_name(command)); });
}

std::vector<std::string> allowed_by_both(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    // Two patterns have something in common only where one is within the other.
    std::vector<std::string> out;
    for (const auto& pattern : a)
        if (allows(b, pattern)) out.push_back(pattern);
    for (const auto& pattern : b)
        if (allows(a, pattern) && std::ranges::find(out, pattern) == out.end()) out.push_back(pattern);
    return out;
}

}  // namespace codegen::contracts
