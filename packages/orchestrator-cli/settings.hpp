// Where the control plane is and what this caller may do, from the environment and the state directory.
#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/result.hpp"

namespace codegen::cli {

using Environment = std::function<std::optional<std::string>(std::string_view)>;
Environment process_environment();  // an empty variable counts as unset

struct Settings {
    std::filesystem::path state_directory;         // outside a worker
    std::optional<std::filesystem::path> gateway;  // inside a worker: CODEGEN_GATEWAY
    std::string api_url;
    bool api_url_given = false;                                // by a variable, not by the state directory
    std::optional<std::vector<std::string>> allowed_commands;  // absent: everything
    Environment environment;

    bool inside_worker() const { return gateway.has_value(); }
};

// CODEGEN_STATE_DIR, else /var/lib/codegen for root, else $XDG_STATE_HOME/codegen, else ~/.local/state/codegen.
std::filesystem::path default_state_directory(const Environment& environment, bool root);
Settings load_settings(Environment environment, bool root);

// ORCHESTRATOR_TOKEN, else <state>/admin.token; empty inside a worker. Errors: "unavailable" (no control plane was ever
// started there), "forbidden" (somebody else's).
Result<std::string> load_token(const Settings& settings);
// REDIS_URL, ORCHESTRATOR_REDIS_URL, else <state>/redis.url. Same errors; "forbidden" inside a worker.
Result<std::string> load_redis_url(const Settings& settings);

// What to do about a control plane that is not there.
inline constexpr std::string_view kWayOut =
    "start the control plane with `make up`, or name its directory with CODEGEN_STATE_DIR";

}  // namespace codegen::cli
