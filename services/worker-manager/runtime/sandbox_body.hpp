// The files of one sandbox body: state/wrapper.pid says which process is the wrapper, and what the wrapper and its
// bubblewrap are given. Everything here is a path, a text or a value; sandbox_runtime.hpp starts and ends processes.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/worker-manager/runtime/worker_runtime.hpp"

namespace codegen::worker_manager {

// state/wrapper.pid
struct PidFile {
    int pid = 0;
    std::uint64_t start_time = 0;  // process::start_time: a later process with this pid is another one
    int attempt = 1;
    std::string installation;
};
BOOST_DESCRIBE_STRUCT(PidFile, (), (pid, start_time, attempt, installation))

std::filesystem::path pid_file_path(const WorkerDirectories& directories);
std::optional<PidFile> read_pid_file(const WorkerDirectories& directories);  // nullopt: none, or not readable as one
bool is_alive(const PidFile& file);
std::string body_id(int pid, std::uint64_t start_time);

// The wrapper is started by a shell that writes the pid file about itself and then becomes the wrapper: no instant
// exists at which a wrapper runs that a restarted manager cannot find.
std::vector<std::string> launch_command(const BodySpec& spec);

struct SandboxTools {
    std::string bwrap = "/usr/bin/bwrap";
    std::filesystem::path agents;  // <state>/agents
    std::vector<std::string> cgroups;
    AgentIdentity identity{};
};
// spec.config with the paths and the sandbox part of this runtime.
contracts::WrapperConfig sandbox_config(const BodySpec& spec, const SandboxTools& tools);

// Not synced: a power cut leaves no process that would need them. Writes state/seccomp.bpf and state/config.json.
Result<void> write_body_files(const BodySpec& spec, const contracts::WrapperConfig& config);
// What an earlier start, maybe of another process, gave this body: its config.json; and the cgroups in it.
std::optional<contracts::WrapperConfig> recorded_config(const WorkerDirectories& directories);
std::vector<std::string> recorded_cgroups(const WorkerDirectories& directories);
// passwd, group and hosts of the inside for a command beside the agent (the wrapper makes the agent's own): written
// into <root>/etc, readable by the agent. Whole at any time, also for a command that reads them while another one
// begins.
Result<std::vector<contracts::ReadOnlyMount>> account_mounts(const WorkerDirectories& directories,
                                                             const contracts::WrapperConfig& config);

// A uid that is not ours must be able to walk to `path`: the first directory on the way that it cannot pass is an error
// that names it and the way out.
Result<void> check_passable(const std::filesystem::path& path);

}  // namespace codegen::worker_manager
