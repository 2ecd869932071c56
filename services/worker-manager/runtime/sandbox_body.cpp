#include "services/worker-manager/runtime/sandbox_body.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/worker-manager/runtime/agent_store.hpp"
#include "services/worker-manager/runtime/seccomp_filter.hpp"
#include "shared/json/instantiate.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"
#include "shared/sandbox/bwrap_command.hpp"

CODEGEN_JSON_INSTANTIATE(codegen::worker_manager::PidFile)

namespace codegen::worker_manager {
namespace fs = std::filesystem;

namespace {

// $1 wrapper, $2 pid file, $3 attempt, $4 installation. The start time is field 22 of /proc/<pid>/stat, the second
// field ends with the last parenthesis. exec keeps pid and start time.
constexpr std::string_view kLaunchScript = R"(umask 077
read -r stat </proc/$$/stat || exit 126
wrapper=$1 file=$2 attempt=$3 installation=$4
set -- ${stat##*) }
printf '{"pid":%s,"start_time":%s,"attempt":%s,"installation":"%s"}\n' $$ "${20}" "$attempt" "$installation" >"$file" || exit 126
umask 022
exec "$wrapper")";

}  // namespace

fs::path pid_file_path(const WorkerDirectories& directories) { return directories.state() / "wrapper.pid"; }

std::optional<PidFile> read_pid_file(const WorkerDirectories& directories) {
    auto text = posix::read_file(pid_file_path(directories), 4096);
    if (!text) return std::nullopt;
    auto file = json::parse<PidFile>(*text);
    if (!file || file->pid <= 0) return std::nullopt;
    return *file;
}

bool is_alive(const PidFile& file) { return process::start_time(file.pid) == file.start_time; }

std::string body_id(int pid, std::uint64_t start_time) { return fmt::format("pid:{}:{}", pid, start_time); }

std::vector<std::string> launch_command(const BodySpec& spec) {
    return {"/bin/sh",
            "-c",
            std::string(kLaunchScript),
            "sh",
            spec.programs / "worker-wrapper",
            pid_file_path(spec.directories),
            std::to_string(spec.attempt),
            spec.installation};
}

contracts::WrapperConfig sandbox_config(const BodySpec& spec, const SandboxTools& tools) {
    contracts::WrapperConfig config = spec.config;
    const WorkerDirectories& host = spec.directories;
    const std::string programs(sandbox::kProgramsInside);
    config.worker_id = spec.worker_id;
    config.agent_type = spec.agent_type;
    config.redis_socket = host.gateway() / "wrapper" / "redis.sock";
    config.gateway_directory = host.gateway();
    config.state_directory = host.state();
    config.workspace = host.workspace();
    config.home = host.home();
    config.agent_uid = tools.identity.uid;
    config.agent_gid = tools.identity.gid;
    config.memory_limit = spec.limits.memory_bytes;
    config.path = {programs, "/usr/local/bin", "/usr/bin", "/bin"};

    contracts::SandboxConfig box;
    box.bwrap = tools.bwrap;
    box.wrapper_program = spec.programs / "worker-wrapper";
    box.mounts.push_back({spec.programs, programs});
    if (auto binary = agent_binary(spec.agent_type)) {
        box.mounts.push_back({tools.agents / binary->folder, binary->inside_folder()});
        config.agent_program = binary->inside();
    }
    if (!spec.login.empty()) box.login = spec.login;
    box.seccomp_filter = host.state() / "seccomp.bpf";
    box.cgroups = tools.cgroups;
    box.max_processes = spec.limits.processes;
    config.sandbox = std::move(box);
    return config;
}

Result<void> write_body_files(const BodySpec& spec, const contracts::WrapperConfig& config) {
    // Compiling it takes 3 ms, each time with the same outcome.
    static const auto filter = compile_seccomp_filter();
    if (!filter) return std::unexpected(filter.error());
    auto written = posix::replace_file(spec.directories.state() / "seccomp.bpf", *filter, 0600);
    if (!written) return written;
    return posix::replace_file(spec.directories.state() / "config.json", json::write(config), 0600);
}

std::optional<contracts::WrapperConfig> recorded_config(const WorkerDirectories& directories) {
    auto text = posix::read_file(directories.state() / "config.json", 4u << 20);
    if (!text) return {};
    auto config = json::parse<contracts::WrapperConfig>(*text);
    return config ? std::optional(std::move(*config)) : std::nullopt;
}

std::vector<std::string> recorded_cgroups(const WorkerDirectories& directories) {
    const auto config = recorded_config(directories);
    if (config && config->sandbox) return config->sandbox->cgroups;
    if (config && config->process) return config->process->cgroups;
    return {};
}

Result<std::vector<contracts::ReadOnlyMount>> account_mounts(const WorkerDirectories& directories,
                                                             const contracts::WrapperConfig& config) {
    const fs::path etc = directories.root / "etc";
    if (auto made = posix::make_directory(etc, 0755); !made) return std::unexpected(made.error());
    struct File {
        const char* name;
        std::string content;
    };
    std::vector<contracts::ReadOnlyMount> mounts;
    for (const File& file : {
             File{"passwd", fmt::format("root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:{}:{}:agent:{}:/bin/bash\n"
                                        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
                                        config.agent_uid, config.agent_gid, sandbox::kHomeInside)},
             File{"group", fmt::format("root:x:0:\nagent:x:{}:\nnogroup:x:65534:\n", config.agent_gid)},
             File{"hosts", fmt::format("127.0.0.1 localhost {}\n::1 localhost\n", config.worker_id)},
         }) {
        if (auto written = posix::replace_file(etc / file.name, file.content, 0644); !written)
            return std::unexpected(written.error());
        mounts.push_back({etc / file.name, std::string("/etc/") + file.name});
    }
    return mounts;
}

Result<void> check_passable(const fs::path& path) {
    fs::path walked;
    for (const fs::path& part : path) {
        walked /= part;
        struct stat status{};
        if (::stat(walked.c_str(), &status) != 0) return posix::errno_error("stat " + walked.string(), errno);
        if (S_ISDIR(status.st_mode) && (status.st_mode & S_IXOTH) == 0)
            return fail(
                ErrorCategory::permanent, "invalid",
                fmt::format("the agent's uid cannot pass {} (mode {:04o}) on the way to {}: chmod o+x {} or choose "
                            "another CODEGEN_STATE_DIR",
                            walked.string(), status.st_mode & 07777u, path.string(), walked.string()));
    }
    return {};
}

}  // namespace codegen::worker_manager
