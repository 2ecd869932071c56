// One stream entry -> the request in it. Pure.
#pragma once
#include "packages/worker-wrapper/agent_plan.hpp"
#include "shared/resp/resp.hpp"

namespace codegen::wrapper {

// The field `data`; without one, the entry's own fields as a JSON object (older writers).
std::string entry_text(const redis::StreamEntry& entry);
// Errors: permanent, "invalid", with every path.
Result<Job> read_job(contracts::WorkerType type, const std::string& text);
// What a dead letter says about why (docs/protocols.md, "Errors, retries, dead letters").
std::string dead_letter_context(const Error& error, const std::string& stream, const std::string& entry_id,
                                int attempts);

}  // namespace codegen::wrapper
