#include "packages/worker-wrapper/launch_plan.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "packages/worker-wrapper/forwarder.hpp"
#include "packages/worker-wrapper/log.hpp"
#include "packages/worker-wrapper/loop.hpp"
#include "packages/worker-wrapper/prepared_sandbox.hpp"
#include "packages/worker-wrapper/spawn.hpp"
#include "shared/json/instantiate.hpp"
#include "shared/posix/file.hpp"

CODEGEN_JSON_INSTANTIATE(codegen::wrapper::LaunchPlan)

namespace codegen::wrapper {
namespace {

constexpr int kStartFailed = 126;

void report(int fd, std::string_view key, boost::json::value value) {
    const std::string line = boost::json::serialize(boost::json::object{{key, std::move(value)}}) + "\n";
    [[maybe_unused]] auto written = ::write(fd, line.data(), line.size());
}

Result<void> write_all(int fd, std::string_view content, const std::string& what) {
    while (!content.empty()) {
        const auto count = ::write(fd, content.data(), content.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return posix::errno_error("write " + what, errno);
        content.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
}

Result<void> write_planned(const PlannedFile& file) {
    std::error_code error;
    const std::filesystem::path path(file.path);
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) return posix::errno_error("create " + path.parent_path().string(), error.value());
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return posix::errno_error("replace " + file.path, errno);
    posix::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!fd) return posix::errno_error("create " + file.path, errno);
    return write_all(fd.get(), file.content, file.path);
}

}  // namespace

Result<posix::Fd> memory_file(std::string_view name, std::string_view content) {
    posix::Fd fd(memfd_create(std::string(name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd) return posix::errno_error("memfd", errno);
    if (auto written = write_all(fd.get(), content, std::string(name)); !written)
        return std::unexpected(written.error());
    fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    if (lseek(fd.get(), 0, SEEK_SET) != 0) return posix::errno_error("memfd", errno);
    return fd;
}

Result<posix::Fd> plan_descriptor(const LaunchPlan& plan) { return memory_file("plan", json::write(plan)); }

Result<LaunchPlan> read_plan(int fd) {
    std::string text;
    std::array<char, 16384> buffer;
    for (;;) {
        const auto count = ::read(fd, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return posix::errno_error("read the plan from descriptor " + std::to_string(fd), errno);
        if (count == 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    auto plan = json::parse<LaunchPlan>(text);
    if (!plan) return std::unexpected(in_context(invalid(plan.error()), "plan"));
    return std::move(*plan);
}

bool known_session(const LaunchPlan& plan) {
    if (!plan.session || plan.session->ending.empty()) return false;
    namespace fs = std::filesystem;
    constexpr int kDeepest = 3;  // codex: year/month/day
    std::error_code error;
    fs::recursive_directory_iterator entry(plan.session->folder, fs::directory_options::skip_permission_denied, error);
    for (; !error && entry != fs::end(entry); entry.increment(error)) {
        if (entry.depth() >= kDeepest) entry.disable_recursion_pending();
        if (entry->path().filename().native().ends_with(plan.session->ending)) return true;
    }
    return false;
}

Result<std::vector<std::string>> apply_plan(const LaunchPlan& plan) {
    for (const auto& file : plan.files)
        if (auto written = write_planned(file); !written) return std::unexpected(written.error());
    std::vector<std::string> argv = plan.argv;
    if (plan.session) {
        const auto& more = known_session(plan) ? plan.session->resume : plan.session->start;
        argv.insert(argv.end(), more.begin(), more.end());
    }
    return argv;
}

int run_launch(int plan_fd, int report_fd) {
    fcntl(report_fd, F_SETFD, FD_CLOEXEC);
    auto stop = [&](const Error& error) {
        report(report_fd, "error", boost::json::string(error.message));
        return kStartFailed;
    };
    auto plan = read_plan(plan_fd);
    if (!plan) return stop(plan.error());
    ::close(plan_fd);
    if (plan->session) report(report_fd, "known_session", known_session(*plan));
    auto argv = apply_plan(*plan);
    if (!argv) return stop(argv.error());
    if (!plan->directory.empty() && ::chdir(plan->directory.c_str()) != 0)
        return stop(posix::errno_error("change directory to " + plan->directory, errno).error());
    std::vector<std::string> environment_text;
    for (const auto& [name, value] : plan->environment) environment_text.push_back(name + "=" + value);
    std::vector<char*> environment;
    for (auto& text : environment_text) environment.push_back(text.data());
    environment.push_back(nullptr);
    std::vector<char*> arguments;
    for (auto& argument : *argv) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    if (auto path = plan->environment.find("PATH"); path != plan->environment.end())
        ::setenv("PATH", path->second.c_str(), 1);
    ::execvpe(arguments[0], arguments.data(), environment.data());
    return stop(posix::errno_error("exec " + plan->argv.at(0), errno).error());
}

int run_init(int control_fd, int report_fd) {
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);  // ours and what bubblewrap may have left open
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    std::signal(SIGPIPE, SIG_IGN);
    auto stop = [&](const Error& error) {
        report(report_fd, "error", boost::json::string(error.message));
        return kStartFailed;
    };
    auto received = receive_start(control_fd);
    if (!received) return stop(received.error());
    if (!*received) return 0;
    StartMessage start = std::move(**received);
    ::close(control_fd);
    auto plan = read_plan(start.plan.get());
    if (!plan) return stop(plan.error());

    Loop loop;
    pid_t agent = -1;
    int code = kStartFailed;
    loop.on_signals({SIGCHLD, SIGTERM, SIGINT, SIGHUP}, [&](const signalfd_siginfo& info) {
        if (info.ssi_signo != SIGCHLD) {
            if (agent > 0) ::kill(-agent, SIGTERM);
            return;
        }
        int status = 0;
        for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
            if (pid != agent) continue;
            if (WIFSIGNALED(status)) {
                report(report_fd, "signal", WTERMSIG(status));
                code = 128 + WTERMSIG(status);
            } else {
                report(report_fd, "exit", WEXITSTATUS(status));
                code = WEXITSTATUS(status);
            }
            loop.stop();
        }
    });
    std::optional<Forwarder> forwarder;
    if (plan->forwarder) {
        forwarder.emplace(loop, plan->forwarder->socket, std::chrono::milliseconds(plan->forwarder->patience_ms));
        if (auto listening = forwarder->listen(plan->forwarder->port); !listening) return stop(listening.error());
    }
    if (plan->session) report(report_fd, "known_session", known_session(*plan));
    auto argv = apply_plan(*plan);
    if (!argv) return stop(argv.error());
    SpawnSpec spec;
    spec.argv = std::move(*argv);
    spec.environment = plan->environment;
    spec.directory = plan->directory;
    spec.input = start.input.get();
    spec.output = start.output.get();
    spec.errors = start.errors.get();
    spec.likely_oom_victim = true;
    if (plan->max_processes) spec.max_processes = static_cast<rlim_t>(*plan->max_processes);
    auto started = spawn(spec);
    if (!started) return stop(started.error());
    agent = *started;
    report(report_fd, "started", true);
    start = {};  // only the agent may hold its pipes: their end is the end of the run's output
    loop.run();
    return code;  // the namespace dies with us, and whatever the agent left in it
}

}  // namespace codegen::wrapper
