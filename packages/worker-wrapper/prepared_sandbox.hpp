// A bubblewrap with `worker-wrapper init` inside that waits for its one run. Making it takes most of the time of a
// start (some 8 ms), so it is made before the request comes. Sandbox only. All of it belongs to the loop's thread.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>

#include "packages/worker-wrapper/launch_plan.hpp"
#include "packages/worker-wrapper/spawn.hpp"
#include "shared/base/result.hpp"
#include "shared/contracts/wrapper_config.hpp"
#include "shared/posix/fd.hpp"

namespace codegen::wrapper {

struct BodyStreams {
    int input = -1;  // descriptors for the child; stay the caller's; -1: /dev/null
    int output = -1;
    int errors = -1;
};

struct PreparedSandbox {
    pid_t pid = -1;         // bubblewrap, our child
    posix::Fd control;      // of init: see send_start()
    posix::Fd report;       // what init says, not blocking (launch_plan.hpp)
    posix::Fd diagnostics;  // what bubblewrap complained about, not blocking
    posix::Fd failure;      // and what kept it from running at all: failed_step()
};

// Does not wait for bubblewrap. Errors: "spawn", or of the files that it needs.
Result<PreparedSandbox> prepare_sandbox(const contracts::WrapperConfig& config);

// Once for each: the plan and the agent's streams, in one message. Error "unavailable": nobody waits for it any more.
Result<void> send_start(int control, const LaunchPlan& plan, const BodyStreams& streams);

struct StartMessage {
    posix::Fd plan;
    posix::Fd input;
    posix::Fd output;
    posix::Fd errors;
};

// The other side; blocks. Empty: the wrapper is gone or needs no run.
Result<std::optional<StartMessage>> receive_start(int control);

// Why it ended, as far as it said, or "".
std::string complaint(const PreparedSandbox& ended);

}  // namespace codegen::wrapper
