#include "apps/orchestratord/components.hpp"

#include <algorithm>

#include "services/api/service.hpp"
#include "services/infra-service/store.hpp"
#include "services/worker-manager/session_store.hpp"
#include "services/worker-manager/store.hpp"
#include "services/workflow/store.hpp"

namespace codegen::orchestratord {
namespace {
constexpr std::string_view kRoles[] = {"api", "workflow", "scaffolder", "worker-manager", "infra-service"};
}

std::span<const std::string_view> role_names() { return kRoles; }

std::vector<Component> components() {
    namespace manager = worker_manager;
    return {{"api", "api", api::Service::migrations()},
            {"workflow", "workflow", workflow::RunStore::migrations()},
            {"worker-manager", manager::kComponent, manager::Store::migrations()},
            {"worker-manager", manager::kOwnerComponent, manager::Store::owner_migrations()},
            {"worker-manager", manager::kSessionsComponent, manager::SessionStore::migrations()},
            {"infra-service", "infra", infra::Store::migrations()}};
}

Task<Result<void>> migrate(storage::Database* database, std::string_view role) {
    for (auto& component : components()) {
        if (component.role != role) continue;
        auto done = co_await database->migrate(std::string(component.name), std::move(component.migrations));
        if (!done) co_return std::unexpected(in_context(done.error(), role));
    }
    co_return Result<void>{};
}

storage::SchemaVersions known_versions() {
    storage::SchemaVersions versions;
    for (const auto& component : components())
        for (const auto& migration : component.migrations) {
            auto& version = versions[std::string(component.name)];
            version = std::max<std::int64_t>(version, migration.version);
        }
    return versions;
}

}  // namespace codegen::orchestratord
