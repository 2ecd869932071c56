// Runtime "process": the agent is a process of this machine beside the wrapper. No namespace shows it our places under
// the names that all agents know, so they are translated; no namespace dies with it, so it is killed by its uid or,
// where it has none of its own, by descent.
#pragma once
#include "packages/worker-wrapper/launch_plan.hpp"
#include "packages/worker-wrapper/spawn.hpp"
#include "shared/contracts/wrapper_config.hpp"

namespace codegen::wrapper {

// `plan` with the places that it names by their names inside a worker (/workspace, /home/agent, /run/codegen) as they
// are on this host, and a TMPDIR of its own. Pure.
LaunchPlan at_host_paths(LaunchPlan plan, const contracts::WrapperConfig& config);

void limit_host_process(SpawnSpec& spec, const contracts::ProcessConfig& limits);

// SIGKILL to everything that the agent has started and is still there. As root: to every process of the agent's uid,
// which is this worker's alone. Else: to every descendant of ours; we are a subreaper, so none can leave.
// Never kill(-1) with our own identity: real uid 0 would reach all of root's processes.
void kill_host_processes(const contracts::WrapperConfig& config);

}  // namespace codegen::wrapper
