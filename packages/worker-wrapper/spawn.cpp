#include "packages/worker-wrapper/spawn.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "shared/posix/fd.hpp"
#include "shared/posix/signals.hpp"

namespace codegen::wrapper {
namespace {

// What the child needs, made before vfork: it shares our memory and must not allocate.
struct Prepared {
    std::vector<std::string> candidates;
    std::vector<char*> argv;
    std::vector<std::string> environment_text;
    std::vector<char*> environment;
    std::vector<std::string> cgroup_files;
};

enum Step : int { kCgroup, kIdentity, kDirectory, kDescriptors, kLimit, kMemory, kExec };

std::string_view step_name(int step) {
    constexpr std::array<std::string_view, 7> names{
        "join cgroup", "drop privileges", "change directory", "set descriptors", "limit processes", "limit memory",
        "exec"};
    return names[static_cast<std::size_t>(step)];
}

Prepared prepare(const SpawnSpec& spec) {
    Prepared out;
    const std::string& program = spec.argv.at(0);
    if (program.find('/') != std::string::npos) {
        out.candidates.push_back(program);
    } else {
        const auto path = spec.environment.find("PATH");
        std::string_view rest = path == spec.environment.end() ? "/usr/bin:/bin" : std::string_view(path->second);
        while (!rest.empty()) {
            const auto colon = rest.find(':');
            out.candidates.push_back(std::string(rest.substr(0, colon)) + "/" + program);
            rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
        }
    }
    for (const auto& argument : spec.argv) out.argv.push_back(const_cast<char*>(argument.c_str()));
    out.argv.push_back(nullptr);
    for (const auto& [name, value] : spec.environment) out.environment_text.push_back(name + "=" + value);
    for (auto& text : out.environment_text) out.environment.push_back(text.data());
    out.environment.push_back(nullptr);
    for (const auto& directory : spec.cgroups) {
        // "0" into version 1's `tasks` moves the calling thread, which is all that the child has, and takes 0.05 ms.
        // Moving a process takes the lock of all thread groups, which waits for the kernel's grace period: 5 to 20 ms.
        const auto threads = directory + "/tasks";
        out.cgroup_files.push_back(access(threads.c_str(), W_OK) == 0 ? threads : directory + "/cgroup.procs");
    }
    return out;
}

struct Failure {
    int step;
    int error;
};

bool write_file(const char* path, std::string_view text) {
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool done = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int saved = errno;
    close(fd);
    errno = saved;
    return done;
}

// dup2 to a low number could overwrite another source that stands there; all sources are moved up first.
bool set_standard(const std::array<int, 3>& sources) {
    std::array<int, 3> moved{};
    for (std::size_t i = 0; i < 3; ++i) {
        moved[i] = sources[i] >= 0 ? fcntl(sources[i], F_DUPFD_CLOEXEC, 3) : -1;
        if (sources[i] >= 0 && moved[i] < 0) return false;
    }
    for (int i = 0; i < 3; ++i)
        if (moved[static_cast<std::size_t>(i)] >= 0 && dup2(moved[static_cast<std::size_t>(i)], i) < 0) return false;
    return true;
}

[[noreturn]] void child(const SpawnSpec& spec, const Prepared& prepared, int null_fd, int report, pid_t parent) {
    auto die = [&](int step) {
        const Failure failure{step, errno};
        [[maybe_unused]] auto written = write(report, &failure, sizeof failure);
        _exit(127);
    };
    posix::restore_default_signals();
    setsid();
    for (const auto& file : prepared.cgroup_files)
        if (!write_file(file.c_str(), "0")) die(kCgroup);
    if (spec.likely_oom_victim) write_file("/proc/self/oom_score_adj", "500");
    umask(022);
    if (spec.identity && (geteuid() == 0 || spec.identity->uid != geteuid())) {
        const auto& [uid, gid, groups] = *spec.identity;
        if ((geteuid() == 0 && setgroups(groups.size(), groups.data()) != 0) || setresgid(gid, gid, gid) != 0 ||
            setresuid(uid, uid, uid) != 0)
            die(kIdentity);
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (spec.die_with_parent) {  // after the change of identity, which clears it
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != parent) _exit(127);
    }
    if (!spec.directory.empty() && chdir(spec.directory.c_str()) != 0) die(kDirectory);
    if (!set_standard({spec.input >= 0 ? spec.input : null_fd, spec.output >= 0 ? spec.output : null_fd, spec.errors}))
        die(kDescriptors);
    for (int fd : spec.keep)
        if (fcntl(fd, F_SETFD, 0) != 0) die(kDescriptors);
    if (spec.max_processes) {
        const rlimit limit{*spec.max_processes, *spec.max_processes};
        if (setrlimit(RLIMIT_NPROC, &limit) != 0) die(kLimit);
    }
    if (spec.max_data) {
        const rlimit limit{*spec.max_data, *spec.max_data};
        if (setrlimit(RLIMIT_DATA, &limit) != 0) die(kMemory);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    int error = ENOENT;
    for (const auto& program : prepared.candidates) {
        execve(program.c_str(), prepared.argv.data(), prepared.environment.data());
        if (errno != ENOENT && errno != ENOTDIR) error = errno;
    }
    errno = error;
    die(kExec);
    _exit(127);
}

// Fork or vfork: one caller waits until the program runs, the other does not.
template <bool kWaits>
Result<Spawning> start(const SpawnSpec& spec) {
    if (spec.argv.empty()) return fail(ErrorCategory::permanent, "spawn", "the command is empty");
    const Prepared prepared = prepare(spec);
    posix::Fd null_fd(open("/dev/null", O_RDWR | O_CLOEXEC));
    std::array<int, 2> report{-1, -1};
    if (pipe2(report.data(), O_CLOEXEC) != 0)
        return fail(ErrorCategory::transient, "spawn", std::string("pipe: ") + std::strerror(errno));
    posix::Fd read_end(report[0]);
    posix::Fd write_end(report[1]);

    // All signals blocked until the child has its own dispositions: a handler of ours must not run in it.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    const pid_t parent = getpid();
    const pid_t pid = kWaits ? vfork() : fork();
    if (pid == 0) child(spec, prepared, null_fd.get(), write_end.get(), parent);
    const int fork_error = errno;
    sigprocmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return fail(ErrorCategory::transient, "spawn", std::string("fork: ") + std::strerror(fork_error));
    return Spawning{pid, std::move(read_end)};
}

}  // namespace

Result<pid_t> spawn(const SpawnSpec& spec) {
    auto started = start<true>(spec);
    if (!started) return std::unexpected(started.error());
    const std::string why = failed_step(started->failure, spec.argv[0]);
    if (why.empty()) return started->pid;
    waitpid(started->pid, nullptr, 0);
    return fail(ErrorCategory::permanent, "spawn", why);
}

Result<Spawning> spawn_in_background(const SpawnSpec& spec) {
    auto started = start<false>(spec);
    if (started) fcntl(started->failure.get(), F_SETFL, O_NONBLOCK);
    return started;
}

std::string failed_step(const posix::Fd& failure_end, const std::string& program) {
    Failure failure{};
    ssize_t got = 0;
    while ((got = read(failure_end.get(), &failure, sizeof failure)) < 0 && errno == EINTR) {
    }
    if (got != sizeof failure) return {};
    return std::string(step_name(failure.step)) + " " + program + ": " + std::strerror(failure.error);
}

}  // namespace codegen::wrapper
