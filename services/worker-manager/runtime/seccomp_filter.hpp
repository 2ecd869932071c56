// The sandbox's seccomp filter, compiled to BPF for `bwrap --seccomp`. An allow list, at least as strict as the profile
// that Docker gives a container without capabilities (moby, profiles/seccomp/default.json): also without io_uring and
// the kernel's crypto sockets, and without typing into a terminal (TIOCSTI, TIOCLINUX). Namespaces, mounts, modules,
// keys, BPF and tracing of the kernel answer EPERM; clone3 and whatever is newer than this list ENOSYS, so that
// libraries fall back. 32-bit and x32 programs get ENOSYS for everything.
#pragma once
#include <string>

#include "shared/base/result.hpp"

namespace codegen::worker_manager {

// struct sock_filter[] of this machine's architecture. Computed at each call (about a millisecond).
Result<std::string> compile_seccomp_filter();

}  // namespace codegen::worker_manager
