#include "shared/process/spawn.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "shared/posix/signals.hpp"

namespace codegen::process {
namespace {

enum class Step : int { streams, cgroup, user, directory, exec };

struct Failure {
    Step step;
    int error_number;
};

// Everything the child needs, prepared before the fork: it may not allocate, and shares the parent's memory (vfork).
struct Plan {
    const char* program;
    char* const* argv;
    char* const* environment;
    const char* directory;      // or null
    char* const* cgroups;       // files to write "0" to
    int in, out, err, failure;  // all above 2
    pid_t parent;
    bool new_session, die_with_parent, change_user;
    uid_t user;
    gid_t group;
};

[[noreturn]] void give_up(int descriptor, Step step) {
    const Failure failure{step, errno};
    // A pipe takes this whole or not at all; there is nobody to tell if it does not.
    const auto written = ::write(descriptor, &failure, sizeof(failure));
    ::_exit(written == sizeof(failure) ? 127 : 126);
}

bool join(const char* file) {
    const int descriptor = ::open(file, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    const bool joined = ::write(descriptor, "0", 1) == 1;
    const int error = errno;
    ::close(descriptor);
    errno = error;
    return joined;
}

// Raw system calls where glibc's wrapper would do more (setuid signals all threads of the memory we share).
[[noreturn]] void become(const Plan& plan) {
    posix::restore_default_signals();
    if (plan.new_session) ::setsid();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);  // survives exec; not inherited

    for (auto file = plan.cgroups; *file != nullptr; ++file)
        if (!join(*file)) give_up(plan.failure, Step::cgroup);

    constexpr int kFailure = 3;
    if (::dup2(plan.in, 0) < 0 || ::dup2(plan.out, 1) < 0 || ::dup2(plan.err, 2) < 0) {
        give_up(plan.failure, Step::streams);
    }
    if (plan.failure != kFailure && ::dup3(plan.failure, kFailure, O_CLOEXEC) < 0) {
        give_up(plan.failure, Step::streams);
    }
    if (::syscall(SYS_close_range, kFailure + 1, ~0U, 0) < 0) give_up(kFailure, Step::streams);

    if (plan.change_user &&
        (::syscall(SYS_setgroups, 0, nullptr) < 0 || ::syscall(SYS_setresgid, plan.group, plan.group, plan.group) < 0 ||
         ::syscall(SYS_setresuid, plan.user, plan.user, plan.user) < 0)) {
        give_up(kFailure, Step::user);
    }
    if (plan.die_with_parent) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);   // after setresuid, which clears it
        if (::getppid() != plan.parent) ::_exit(127);  // the parent died before it could be watched
    }
    if (plan.directory != nullptr && ::chdir(plan.directory) < 0) give_up(kFailure, Step::directory);

    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execve(plan.program, plan.argv, plan.environment);
    give_up(kFailure, Step::exec);
}

// A frame of its own: nothing of the caller's lives in what the vfork child may overwrite.
[[gnu::noinline]] pid_t fork_into(const Plan& plan) {
    // Changing ids makes the memory undumpable, which vfork would do to the parent's: fork for that.
    const pid_t pid = plan.change_user ? ::_Fork() : ::vfork();
    if (pid == 0) become(plan);
    return pid;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    result.reserve(texts.size() + 1);
    for (auto& text : texts) result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

std::unexpected<Error> spawn_error(std::string_view program, std::string_view what, int error_number) {
    return fail(ErrorCategory::permanent, "spawn",
                fmt::format("start {}: {}{}", program, what, std::generic_category().message(error_number)));
}

std::string find_program(const Spec& spec) {
    const std::string& name = spec.argv[0];
    if (name.contains('/')) return name;
    const auto path = spec.environment.find("PATH");
    std::string_view rest = "/usr/local/bin:/usr/bin:/bin";
    if (path != spec.environment.end()) rest = path->second;
    while (!rest.empty()) {
        const auto folder = rest.substr(0, rest.find(':'));
        rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
        if (folder.empty()) continue;
        std::string candidate = fmt::format("{}/{}", folder, name);
        if (::access(candidate.c_str(), X_OK) == 0 && !std::filesystem::is_directory(candidate)) return candidate;
    }
    return {};
}

// A duplicate that no dup2 onto 0..3 can destroy.
posix::Fd above_standard(int descriptor) { return posix::Fd(::fcntl(descriptor, F_DUPFD_CLOEXEC, 4)); }

std::string_view describe(Step step) {
    switch (step) {
        case Step::streams:
            return "standard streams: ";
        case Step::cgroup:
            return "join a cgroup: ";
        case Step::user:
            return "change user: ";
        case Step::directory:
            return "working directory: ";
        case Step::exec:
            return "";
    }
    return "";
}

}  // namespace

Result<Spawned> spawn(const Spec& spec, Streams streams) {
    if (spec.argv.empty() || spec.argv[0].empty()) {
        return fail(ErrorCategory::permanent, "spawn", "start a program: its name is empty");
    }
    const std::string program = find_program(spec);
    if (program.empty()) {
        const auto path = spec.environment.find("PATH");
        return fail(ErrorCategory::permanent, "spawn",
                    fmt::format("start {}: not found in PATH={}; install it or give its path", spec.argv[0],
                                path == spec.environment.end() ? "" : path->second));
    }
    std::vector<std::string> arguments = spec.argv;
    std::vector<std::string> environment;
    for (const auto& [name, value] : spec.environment) environment.push_back(fmt::format("{}={}", name, value));
    for (const auto* texts : {&arguments, &environment})
        for (const auto& text : *texts)
            if (text.contains('\0')) {
                return fail(ErrorCategory::permanent, "spawn",
                            fmt::format("start {}: an argument or variable holds a NUL byte", program));
            }
    // Version 1's `tasks` moves the one thread that the child has, and does not wait for the kernel's grace period.
    std::vector<std::string> groups;
    for (const auto& group : spec.cgroups) {
        const auto threads = group + "/tasks";
        groups.push_back(::access(threads.c_str(), W_OK) == 0 ? threads : group + "/cgroup.procs");
    }
    const auto group_files = pointers(groups);
    const auto argv = pointers(arguments);
    const auto envp = pointers(environment);

    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return spawn_error(program, "pipe: ", errno);
    const posix::Fd report(ends[0]);
    posix::Fd failure_low(ends[1]);
    posix::Fd failure = above_standard(failure_low.get());
    const posix::Fd in = above_standard(streams.in);
    const posix::Fd out = above_standard(streams.out);
    const posix::Fd err = above_standard(streams.err);
    if (!failure || !in || !out || !err) return spawn_error(program, "standard streams: ", errno);
    failure_low.reset();

    const Plan plan{.program = program.c_str(),
                    .argv = argv.data(),
                    .environment = envp.data(),
                    .directory = spec.directory.empty() ? nullptr : spec.directory.c_str(),
                    .cgroups = group_files.data(),
                    .in = in.get(),
                    .out = out.get(),
                    .err = err.get(),
                    .failure = failure.get(),
                    .parent = ::getpid(),
                    .new_session = spec.new_session,
                    .die_with_parent = spec.die_with_parent,
                    .change_user = spec.user.has_value(),
                    .user = static_cast<uid_t>(spec.user ? spec.user->first : 0),
                    .group = static_cast<gid_t>(spec.user ? spec.user->second : 0)};

    // No handler of ours may run in the child on the shared memory.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = fork_into(plan);
    const int fork_error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return spawn_error(program, "fork: ", fork_error);

    failure.reset();
    Failure told{};
    ssize_t size = 0;
    do size = ::read(report.get(), &told, sizeof(told));
    while (size < 0 && errno == EINTR);
    if (size == sizeof(told)) {
        ::waitpid(pid, nullptr, 0);
        const std::string where =
            told.step == Step::directory ? fmt::format("working directory {}: ", spec.directory.native()) : "";
        return spawn_error(program, where.empty() ? describe(told.step) : where, told.error_number);
    }
    Spawned spawned{pid, posix::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))), 0};
    if (!spawned.pidfd) {
        const int error = errno;
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return spawn_error(program, "pidfd_open: ", error);
    }
    spawned.started = start_time(pid).value_or(0);
    return spawned;
}

}  // namespace codegen::process
