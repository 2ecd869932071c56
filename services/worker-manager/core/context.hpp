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

}  // namespace codegen::worker_manager
