// What a create command says about whom and what its worker is for. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "shared/base/result.hpp"
#include "shared/contracts/contracts.hpp"

namespace codegen::worker_manager {

// An empty value is none.
std::optional<std::string> from_context(const contracts::CreateWorkerCommand& command, const std::string& name);
// Error "invalid": context.user_id is not a number.
Result<std::optional<std::int64_t>> user_id_of(const contracts::CreateWorkerCommand& command);
// The same after it was checked.
std::optional<std::int64_t> known_user_of(const contracts::CreateWorkerCommand& command);

// Whether it also takes requests from the shared pool of developers.
bool reads_pool(const contracts::CreateWorkerCommand& command);
bool wants_docker(const contracts::WorkerConfig& config);  // the capability

}  // namespace codegen::worker_manager
