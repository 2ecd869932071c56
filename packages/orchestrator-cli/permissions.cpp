#include "packages/orchestrator-cli/permissions.hpp"

#include <algorithm>

namespace codegen::cli {
namespace {

struct Profile {
    std::string_view name;
    std::string_view patterns;
};
constexpr Profile kProfiles[] = {
    {"PRODUCT_OWNER", "*"},
    {"DEVELOPER", "project.get,project.list,engineering.status,respond,result"},
    {"DEVOPS", "project.get,deploy.*,infra.*,respond"},
};

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n";
    const auto begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

void add(std::vector<std::string>& out, std::string_view pattern) {
    for (const auto& profile : kProfiles) {
        if (pattern != profile.name) continue;
        for (auto& part : parse_allowed_commands(profile.patterns)) add(out, part);
        return;
    }
    const std::string name(pattern == "engineering.trigger" ? "engineering.start" : pattern);
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
}

}  // namespace

std::vector<std::string> parse_allowed_commands(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const auto comma = std::min(text.find(','), text.size());
        if (const auto part = trimmed(text.substr(0, comma)); !part.empty()) add(out, part);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return out;
}

bool is_allowed(const std::vector<std::string>& patterns, std::string_view permission) {
    return std::any_of(patterns.begin(), patterns.end(), [&](std::string_view pattern) {
        if (pattern == "*" || pattern == permission) return true;
        return pattern.ends_with(".*") && permission.starts_with(pattern.substr(0, pattern.size() - 1));
    });
}

}  // namespace codegen::cli
