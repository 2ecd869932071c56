// HOST_SESSIONS: which login each kind of agent may use.
#pragma once
#include <filesystem>
#include <map>
#include <string_view>

#include "shared/base/result.hpp"
#include "shared/contracts/vocabulary.hpp"

namespace codegen::orchestratord {

// "claude=/srv/claude-login,codex=/srv/codex-login". Error "configuration", fatal: names the part that is wrong - an
// unknown agent, one that has no login, a path that is not absolute, no directory, or so placed that lending it would
// lend more than a login (the root, a folder around or below `state`).
Result<std::map<contracts::AgentType, std::filesystem::path>> parse_host_sessions(std::string_view text,
                                                                                  const std::filesystem::path& state);

}  // namespace codegen::orchestratord
