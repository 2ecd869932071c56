#include "services/worker-manager/gateway/identity.hpp"

#include <algorithm>

namespace codegen::worker_manager {
namespace {

bool matches(std::string_view pattern, std::string_view action) {
    if (pattern == "engineering.trigger") pattern = "engineering.start";
    if (pattern == "*" || pattern == action) return true;
    return pattern.ends_with(".*") && action.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace

bool allows(const std::vector<std::string>& patterns, std::string_view action) {
    return std::ranges::any_of(patterns, [&](const std::string& pattern) { return matches(pattern, action); });
}

}  // namespace codegen::worker_manager
