// One orchestratord process: composes the roles, waits for a signal, stops them in order.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/orchestratord/configuration.hpp"

namespace codegen::orchestratord {

struct ControlPlaneOptions {
    bool dev = false;                // all roles; private Redis unless REDIS_URL is set
    std::vector<std::string> roles;  // of `serve`: api, workflow, worker-manager
    int ready_fd = -1;               // gets one line for people when everything answers, then is closed
    std::filesystem::path ready_file;
};

// Blocks until SIGTERM or SIGINT (success) or a fatal error of a role. Running workers are left running: the next start
// adopts them.
Result<void> run_control_plane(const Configuration& configuration, const Configuration::Environment& environment,
                               ControlPlaneOptions options);

}  // namespace codegen::orchestratord
