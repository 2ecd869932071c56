// What runs with the agent's rights, told to `worker-wrapper init` (sandbox) or `worker-wrapper launch` (Docker) by a
// descriptor: our files in its home, its session, its command. Both programs come from one build.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "packages/worker-wrapper/agent_names.hpp"
#include "shared/base/result.hpp"
#include "shared/posix/fd.hpp"

namespace codegen::wrapper {

// A sealed memory file with the plan, read offset 0, close-on-exec.
Result<posix::Fd> plan_descriptor(const LaunchPlan& plan);
Result<posix::Fd> memory_file(std::string_view name, std::string_view content);
Result<LaunchPlan> read_plan(int fd);

// Writes the files (parents made, what stands there replaced) and returns the command line.
Result<std::vector<std::string>> apply_plan(const LaunchPlan& plan);

bool known_session(const LaunchPlan& plan);

// The report descriptor gets JSON lines {"known_session":BOOL} (for a plan with one), {"started":true}, {"error":TEXT},
// {"exit":N}, {"signal":N}; end of file without
// an error after `launch` means started.

int run_launch(int plan_fd, int report_fd);  // does not return when it could start the agent
// PID 1 of the sandbox: waits for its one run at `control_fd` (prepared_sandbox.hpp); returns the agent's exit code as
// a shell shows it, 0 when none came.
int run_init(int control_fd, int report_fd);

}  // namespace codegen::wrapper
