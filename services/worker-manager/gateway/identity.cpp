#include "services/worker-manager/gateway/identity.hpp"

#include "shared/contracts/permissions.hpp"

namespace codegen::worker_manager {

bool allows(const std::vector<std::string>& patterns, std::string_view action) {
    return contracts::allows(patterns, action);
}

}  // namespace codegen::worker_manager
