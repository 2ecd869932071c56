// Whose gateway it is. Everything that a request says about itself is replaced by this.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/contracts/vocabulary.hpp"

namespace codegen::worker_manager {

struct GatewayIdentity {
    std::string worker_id;
    contracts::WorkerType worker_type{};
    bool pool = false;  // a developer that also reads the shared stream
    std::optional<std::int64_t> user_id{};
    std::optional<std::string> task_id{};
    std::vector<std::string> egress_allow{};  // of its project, beside EGRESS_ALLOW
    std::vector<std::string> actions{};       // patterns: docs/protocols.md, "The orchestrator command"
};

// Does one of `patterns` allow `action`? "*" allows all, "project.*" its group, "engineering.trigger" is read as start.
bool allows(const std::vector<std::string>& patterns, std::string_view action);

}  // namespace codegen::worker_manager
