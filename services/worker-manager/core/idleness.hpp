// What becomes of a Product Owner's worker that nobody speaks to, and what its input streams say about that. Pure.
#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "services/worker-manager/core/lifecycle.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/resp/resp.hpp"

namespace codegen::worker_manager {

struct IdleLimits {
    std::chrono::milliseconds pause{std::chrono::minutes(10)};   // 0: never
    std::chrono::milliseconds remove{std::chrono::minutes(30)};  // 0: never
};

enum class IdleMove { stay, pause, remove };

// `active`: the last sign of use.
IdleMove idle_move(WorkerState state, Timestamp active, Timestamp now, const IdleLimits& limits);

// One input stream: where it ends, and whether its reader is done with all of it.
struct InputState {
    std::string last_id = "0-0";
    bool settled = true;
};
// From XINFO STREAM and XINFO GROUPS; an error reply to the first means that there is no such stream. nullopt: cannot
// be read as that.
std::optional<InputState> input_state(const redis::Reply& stream, const redis::Reply& groups, std::string_view group);

}  // namespace codegen::worker_manager
