// Starts a program with vfork. In the child: every signal disposition default and nothing blocked (an inherited ignored
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

namespace codegen::wrapper {

using Environment = std::map<std::string, std::string>;

struct Identity {
    uid_t uid;
    gid_t gid;
};

struct SpawnSpec {
    std::vector<std::string> argv;  // argv[0] with a slash, or found in PATH of `environment`
    Environment environment;
    std::string directory;             // empty: unchanged
    int input = -1;                    // -1: /dev/null
    int output = -1;                   // -1: /dev/null
    int errors = -1;                   // -1: inherited
    std::vector<int> keep;             // same number in the child; everything else is close-on-exec already
    std::optional<Identity> identity;  // dropped to, no supplementary groups; absent: unchanged
    std::vector<std::string> cgroups;  // directories; the child joins them before it drops its identity
    std::optional<rlim_t> max_processes;
    bool die_with_parent = false;    // SIGKILL when this process ends
    bool likely_oom_victim = false;  // oom_score_adj raised, so that the agent dies before its guardians
};

// The pid. Errors: "spawn", naming the step and program ("exec /x: No such file or directory").
Result<pid_t> spawn(const SpawnSpec& spec);

}  // namespace codegen::wrapper
