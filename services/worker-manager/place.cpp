#include "services/worker-manager/place.hpp"

#include <unistd.h>

#include "services/worker-manager/gateway/gateway.hpp"
#include "services/worker-manager/repository/tree.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {

Task<Result<void>> make_place(WorkerDirectories place, AgentIdentity agent) {
    auto cleared = co_await remove_tree(place.root);
    if (!cleared) co_return cleared;
    // bubblewrap, started as the agent's uid, must pass.
    for (const auto& path : {place.root.parent_path(), place.root})
        if (auto made = posix::make_directory(path, 0711); !made) co_return made;
    for (const auto& path : {place.state(), place.home()})
        if (auto made = posix::make_directory(path, 0700); !made) co_return made;
    if (::geteuid() == 0 &&
        ::lchown(place.home().c_str(), static_cast<uid_t>(agent.uid), static_cast<gid_t>(agent.gid)) != 0)
        co_return posix::errno_error("set the owner of " + place.home().string(), errno);
    co_return Result<void>{};
}

Task<Result<void>> make_prepared_place(WorkerDirectories place, AgentIdentity agent) {
    auto made = co_await make_place(place, agent);
    if (!made) co_return made;
    if (auto workspace = posix::make_directory(place.workspace(), 0755); !workspace) co_return workspace;
    co_return Gateway::make_directories(place.gateway(), agent.gid);
}

}  // namespace codegen::worker_manager
