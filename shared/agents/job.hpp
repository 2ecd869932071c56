// A request as an agent gets it. Pure data.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "shared/contracts/contracts.hpp"

namespace codegen::agents {

// One request, whatever the type of the worker.
struct Job {
    std::string request_id;
    std::string prompt;
    std::int64_t timeout_seconds = 1800;
    std::optional<contracts::DeveloperWorkerInput> developer;
    std::optional<contracts::POWorkerInput> product_owner;
    std::string stream;       // where it came from
    std::string group;        // and the group that owns it
    std::string entry_id;     // to acknowledge
    std::string traceparent;  // what it came with, or empty
    int attempt = 1;
    bool continues_session = false;  // its conversation was begun before
    bool session_lost = false;       // known before the agent is started: its files are gone
    // What its conversation had used before; absent: it goes on with one that was begun elsewhere.
    std::optional<contracts::AgentUsage> session_usage = contracts::AgentUsage{};
};

}  // namespace codegen::agents
