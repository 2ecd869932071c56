#include "services/worker-manager/core/context.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace codegen::worker_manager {

std::optional<std::string> from_context(const contracts::CreateWorkerCommand& command, const std::string& name) {
    const auto found = command.context.find(name);
    return found == command.context.end() || found->second.empty() ? std::nullopt : std::optional(found->second);
}

Result<std::optional<std::int64_t>> user_id_of(const contracts::CreateWorkerCommand& command) {
    const auto text = from_context(command, "user_id");
    if (!text) return std::nullopt;
    std::int64_t id = 0;
    const auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), id);
    if (ec != std::errc{} || end != text->data() + text->size())
        return fail(ErrorCategory::permanent, "invalid", fmt::format("context.user_id: \"{}\" is not a number", *text),
                    "context.user_id");
    return id;
}

std::optional<std::int64_t> known_user_of(const contracts::CreateWorkerCommand& command) {
    const auto user = user_id_of(command);
    return user ? *user : std::nullopt;
}

bool reads_pool(const contracts::CreateWorkerCommand& command) {
    const auto& config = command.config;
    return config.worker_type == contracts::WorkerType::developer &&
           config.pool.value_or(!from_context(command, "task_id"));
}

bool wants_docker(const contracts::WorkerConfig& config) {
    return std::ranges::find(config.capabilities, contracts::Capability::docker) != config.capabilities.end();
}

}  // namespace codegen::worker_manager
