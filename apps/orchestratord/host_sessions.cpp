#include "apps/orchestratord/host_sessions.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "shared/agents/agent.hpp"
#include "shared/json/enum.hpp"

namespace codegen::orchestratord {
namespace fs = std::filesystem;
namespace {

// `path` is `folder` or below it.
bool is_within(const fs::path& path, const fs::path& folder) {
    const auto [rest, unused] = std::ranges::mismatch(folder, path);
    return rest == folder.end();
}

}  // namespace

Result<std::map<contracts::AgentType, fs::path>> parse_host_sessions(std::string_view text, const fs::path& state) {
    std::map<contracts::AgentType, fs::path> logins;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find(',', at), text.size());
        const std::string part(text.substr(at, end - at));
        at = end + 1;
        const auto wrong = [&](std::string why) {
            return fail(ErrorCategory::fatal, "configuration",
                        fmt::format("HOST_SESSIONS: \"{}\": {}", part.substr(0, 200), why));
        };
        const auto equals = part.find('=');
        if (equals == std::string::npos) return wrong("expected agent=DIRECTORY");
        const auto agent = json::enum_from<contracts::AgentType>(part.substr(0, equals));
        if (!agent) return wrong("unknown agent, expected one of " + json::names_of<contracts::AgentType>());
        if (agents::agent_of(*agent).description().profile.empty()) return wrong("this agent has no login");
        const fs::path given = part.substr(equals + 1);
        if (!given.is_absolute()) return wrong("the path of the directory must be absolute");
        std::error_code error;
        const auto directory = fs::canonical(given, error);
        if (error || !fs::is_directory(directory, error)) return wrong("there is no such directory");
        const auto own = fs::weakly_canonical(state, error);
        if (is_within(own, directory) || is_within(directory, own))
            return wrong(fmt::format("a login must lie apart from {}; agents may write it", own.string()));
        if (logins.contains(*agent)) return wrong("this agent has a login already");
        for (const auto& [other, taken] : logins)
            if (is_within(taken, directory) || is_within(directory, taken))
                return wrong(fmt::format("{} has {}: logins must lie apart", json::name_of(other), taken.string()));
        logins.emplace(*agent, directory);
    }
    return logins;
}

}  // namespace codegen::orchestratord
