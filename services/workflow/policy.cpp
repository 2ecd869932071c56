#include "services/workflow/policy.hpp"

#include <fmt/format.h>

#include <charconv>

#include "shared/json/enum.hpp"

namespace codegen::workflow {
namespace {

constexpr int kMostRetries = 10;

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

}  // namespace

Result<std::map<Reason, int>> parse_retries(std::string_view text) {
    const auto wrong = [](std::string_view part, std::string_view expected) {
        return fail(ErrorCategory::fatal, "configuration", fmt::format("\"{}\": expected {}", part, expected));
    };
    std::map<Reason, int> out;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find(',', at), text.size());
        const auto part = trimmed(text.substr(at, end - at));
        at = end + 1;
        if (part.empty()) continue;
        const auto equals = part.find('=');
        if (equals == part.npos) return wrong(part, "REASON=COUNT, e.g. infrastructure=1");
        const auto reason = json::enum_from<Reason>(trimmed(part.substr(0, equals)));
        if (!reason) return wrong(part, "a reason, one of " + json::names_of<Reason>());
        if (*reason == Reason::cancelled) return wrong(part, "another reason: what a person cancelled stays cancelled");
        const auto number = trimmed(part.substr(equals + 1));
        int count = 0;
        const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), count);
        if (error != std::errc{} || stop != number.data() + number.size() || count < 0 || count > kMostRetries)
            return wrong(part, fmt::format("a count from 0 to {}", kMostRetries));
        out[*reason] = count;
    }
    return out;
}

}  // namespace codegen::workflow
