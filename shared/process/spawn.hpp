// The moment between fork and exec.
#pragma once
#include "shared/base/result.hpp"
#include "shared/posix/fd.hpp"
#include "shared/process/process.hpp"

namespace codegen::process {

// Descriptors that become 0, 1 and 2 of the child.
struct Streams {
    int in = -1;
    int out = -1;
    int err = -1;
};

struct Spawned {
    int pid = 0;
    posix::Fd pidfd;
    std::uint64_t started = 0;
};

// Returns when exec has succeeded or failed. The error ("spawn") names the program, the step and the reason.
Result<Spawned> spawn(const Spec& spec, Streams streams);

}  // namespace codegen::process
