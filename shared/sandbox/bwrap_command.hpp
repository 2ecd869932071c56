// The bubblewrap command line for a command that runs beside the agent of a sandbox worker, with the same mounts (docs:
// workers, "Sandbox"). Pure. The agent's own bubblewrap is composed by the worker-wrapper.
//
// The caller, before exec:
//   - root only: drops to config.agent_uid / agent_gid (host ids) without supplementary groups; bwrap then makes the
//     user namespace as that uid. An ordinary user's agent is the person's own uid in a namespace of its own.
//   - when config.sandbox->seccomp_filter is set: opens that file (it lies in the state directory, which the agent's
//   uid
//     cannot pass: open it before dropping) and puts it at descriptor options.seccomp_fd.
//   - joins config.sandbox->cgroups (writes "0" to each cgroup.procs), before dropping.
//   - gives bwrap the inner program's environment as its own: bwrap hands it on unchanged.
// Killing the outer bwrap process with SIGKILL ends everything inside.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "shared/contracts/wrapper_config.hpp"

namespace codegen::sandbox {

// Ids of the agent in a container.
inline constexpr int kInsideUid = 10001;
inline constexpr int kInsideGid = 10001;
// Places as seen inside, on both runtimes.
inline constexpr std::string_view kGatewayInside = "/run/codegen";
inline constexpr std::string_view kWorkspaceInside = "/workspace";
inline constexpr std::string_view kHomeInside = "/home/agent";
inline constexpr std::string_view kProgramsInside = "/opt/codegen/bin";

struct BwrapOptions {
    int seccomp_fd = 9;
    std::int64_t tmp_bytes = 1ll << 30;  // size of /tmp
};

// argv of bwrap, argv[0] = config.sandbox->bwrap, ending with "--" and `inner` (paths as seen inside). bwrap's own
// reaper is PID 1. config.sandbox must be set.
std::vector<std::string> bwrap_command(const contracts::WrapperConfig& config, std::vector<std::string> inner,
                                       const BwrapOptions& options = {});

}  // namespace codegen::sandbox
