// The message of a stream entry (contracts::input_text) -> the request in it. Pure.
#pragma once
#include "packages/worker-wrapper/agent_plan.hpp"

namespace codegen::wrapper {

// Errors: permanent, "invalid", with every path.
Result<Job> read_job(contracts::WorkerType type, const std::string& text);
// What a dead letter says about why (docs/protocols.md, "Errors, retries, dead letters").
std::string dead_letter_context(const Error& error, const std::string& stream, const std::string& entry_id,
                                int attempts);

}  // namespace codegen::wrapper
