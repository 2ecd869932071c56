// The cgroups of sandbox workers: codegen/<installation>/<worker>, where this process may make them. Version 1: memory,
// cpu and pids below our own cgroup of each hierarchy. Version 2: one directory below the hierarchy's root (as root) or
// below our own cgroup (when it is delegated and empty). Where nothing is permitted, everything here succeeds with no
// directories. Blocking, but only on cgroup files.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "services/worker-manager/runtime/worker_runtime.hpp"

namespace codegen::worker_manager {

struct CgroupBase {
    enum class Kind { memory, cpu, pids, unified } kind;
    std::filesystem::path directory;  // exists; codegen/ goes below it
};

// Where cgroups could be, from the text of /proc/self/cgroup and /proc/self/mountinfo. Pure.
std::vector<CgroupBase> cgroup_bases(std::string_view self_cgroup, std::string_view mountinfo, bool root);

class Cgroups {
  public:
    explicit Cgroups(std::string installation);  // for this process
    Cgroups(std::vector<CgroupBase> bases, std::string installation);

    // Makes the worker's groups with their limits, empty of processes. The directories that were made.
    std::vector<std::string> create(const std::string& worker_id, const WorkerLimits& limits) const;

    // Which of memory, CPU and processes cannot be limited here, for people: "memory, CPU"; empty: all can. Tries it.
    std::string missing() const;

    // The rest works on directories that create() made, maybe in an earlier process: our own cgroup, and with it where
    // new groups go, can be another one after a restart.
    static bool out_of_memory(const std::vector<std::string>& groups);  // a process was killed for memory
    // SIGKILL to every process in the groups, again until none is left. True: none left.
    static bool kill_all(const std::vector<std::string>& groups);
    static void remove(const std::vector<std::string>& groups);  // of empty groups; missing is fine

  private:
    std::filesystem::path group(const CgroupBase& base, const std::string& worker_id) const;

    std::vector<CgroupBase> bases_;
    std::string installation_;
};

}  // namespace codegen::worker_manager
