// Starts a program. In the child: every signal disposition default and nothing blocked (an inherited ignored
// SIGCHLD makes claude's tools fail), own session, exactly the given environment, only stdin, stdout, stderr and
// `keep` open.
#pragma once
#include <sys/resource.h>
#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/result.hpp"
#include "shared/posix/fd.hpp"

namespace codegen::wrapper {

using Environment = std::map<std::string, std::string>;

struct Identity {
    uid_t uid;
    gid_t gid;
    std::vector<gid_t> groups{};  // supplementary
};

struct SpawnSpec {
    std::vector<std::string> argv;  // argv[0] with a slash, or found in PATH of `environment`
    Environment environment;
    std::string directory;             // empty: unchanged
    int input = -1;                    // -1: /dev/null
    int output = -1;                   // -1: /dev/null
    int errors = -1;                   // -1: inherited
    std::vector<int> keep;             // same number in the child; everything else is close-on-exec already
    std::optional<Identity> identity;  // dropped to; absent: unchanged
    std::vector<std::string> cgroups;  // directories; the child joins them before it drops its identity
    std::optional<rlim_t> max_processes;
    std::optional<rlim_t> max_data;  // bytes of private memory of each process
    bool die_with_parent = false;    // SIGKILL when this process ends
    bool likely_oom_victim = false;  // oom_score_adj raised, so that the agent dies before its guardians
};

// The pid, once the program runs (vfork). Errors: "spawn", naming the step and program ("exec /x: No such file or
// directory").
Result<pid_t> spawn(const SpawnSpec& spec);

// The same, but it does not wait: joining a cgroup can take 15 ms (the kernel waits for all processors), which is then
// the child's time alone. A step that failed is seen as its exit with 127, and said by failed_step(failure).
struct Spawning {
    pid_t pid = -1;
    posix::Fd failure;  // not blocking
};
Result<Spawning> spawn_in_background(const SpawnSpec& spec);
// "" when no step failed.
std::string failed_step(const posix::Fd& failure_end, const std::string& program);

}  // namespace codegen::wrapper
