#include "services/worker-manager/runtime/sandbox_runtime.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "services/worker-manager/runtime/seccomp_filter.hpp"
#include "shared/async/deadline.hpp"
#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/tree.hpp"
#include "shared/sandbox/bwrap_command.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::optional<int> shell_code(int wait_status) {
    if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
    if (WIFSIGNALED(wait_status)) return 128 + WTERMSIG(wait_status);
    return std::nullopt;
}

// Signals exactly this process: the pidfd pins the pid before its start time is compared.
bool signal_process(int pid, std::uint64_t started, int number) {
    posix::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd || process::start_time(pid) != started) return false;
    return ::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0) == 0;
}

// A zombie has a start time and no life.
bool runs(int pid, std::uint64_t started) {
    auto entry = process::read_process(pid);
    return entry && entry->started == started && entry->alive();
}

std::string last_line(std::string_view text) {
    while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    return std::string(text.substr(text.rfind('\n') + 1));
}

std::string why_bwrap_failed(const process::Outcome& outcome) {
    std::string said = last_line(outcome.errors);
    if (said.contains("uid map") || said.contains("new namespace") || said.contains("user namespace"))
        return fmt::format(
            "bubblewrap may not make user namespaces here ({}). Allow them: sysctl -w "
            "kernel.unprivileged_userns_clone=1 "
            "(Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), user.max_user_namespaces=10000; inside "
            "a "
            "container, use the Docker runtime of its host",
            said);
    return fmt::format("bubblewrap does not work here: {}", said.empty() ? outcome.describe() : said);
}

}  // namespace

SandboxRuntime::SandboxRuntime(asio::any_io_executor executor, SandboxOptions options)
    : executor_(executor),
      options_(std::move(options)),
      root_(::geteuid() == 0),
      commands_(executor),
      identities_(options_.workers, options_.uid_base, options_.uid_count),
      agents_(options_.agents, options_.agent_scripts),
      cgroups_(options_.installation),
      ended_(executor, asio::steady_timer::time_point::max()),
      scope_(executor) {}

AgentIdentity SandboxRuntime::agent_identity(const std::string& worker_id) {
    if (!root_) return {static_cast<int>(::getuid()), static_cast<int>(::getgid())};
    return identities_.of(worker_id);
}

// The filter comes on standard input and is moved to the descriptor that the command names.
process::Spec SandboxRuntime::bwrap_spec(std::vector<std::string> command, const std::string& filter,
                                         AgentIdentity identity) const {
    process::Spec spec;
    spec.argv = {"/bin/sh", "-c", "exec 9<&0 0</dev/null; exec \"$@\"", "sh"};
    std::move(command.begin(), command.end(), std::back_inserter(spec.argv));
    spec.environment = {{"PATH", std::string(sandbox::kProgramsInside) + ":/usr/local/bin:/usr/bin:/bin"},
                        {"HOME", std::string(sandbox::kHomeInside)},
                        {"USER", "agent"},
                        {"LANG", "C.UTF-8"},
                        {"TMPDIR", "/tmp"},
                        {"CODEGEN_GATEWAY", std::string(sandbox::kGatewayInside)}};
    spec.directory = "/";
    spec.input = filter;
    if (root_) spec.user = {identity.uid, identity.gid};
    return spec;
}

Task<Result<void>> SandboxRuntime::probe() {
    if (::access(options_.bwrap.c_str(), X_OK) != 0)
        co_return fail(ErrorCategory::permanent, "unavailable",
                       fmt::format("{} is missing: install bubblewrap (apt-get install bubblewrap)", options_.bwrap));
    auto filter = compile_seccomp_filter();
    if (!filter) co_return std::unexpected(filter.error());
    std::vector<std::string> command{options_.bwrap,
                                     "--unshare-user",
                                     "--unshare-ipc",
                                     "--unshare-pid",
                                     "--unshare-net",
                                     "--unshare-uts",
                                     "--unshare-cgroup-try",
                                     "--uid",
                                     "10001",
                                     "--gid",
                                     "10001",
                                     "--die-with-parent",
                                     "--new-session",
                                     "--cap-drop",
                                     "ALL",
                                     "--seccomp",
                                     "9",
                                     "--ro-bind",
                                     "/usr",
                                     "/usr",
                                     "--ro-bind-try",
                                     "/bin",
                                     "/bin",
                                     "--ro-bind-try",
                                     "/lib",
                                     "/lib",
                                     "--ro-bind-try",
                                     "/lib64",
                                     "/lib64",
                                     "--proc",
                                     "/proc",
                                     "--dev",
                                     "/dev",
                                     "--tmpfs",
                                     "/tmp",
                                     "--remount-ro",
                                     "/",
                                     "--",
                                     "/bin/sh",
                                     "-c",
                                     "exit 0"};
    auto outcome = co_await process::run(
        bwrap_spec(std::move(command), *filter, {options_.uid_base, options_.uid_base}), {.timeout = seconds(10)});
    if (!outcome) co_return std::unexpected(in_context(outcome.error(), "sandbox"));
    if (!outcome->ok()) co_return fail(ErrorCategory::permanent, "unavailable", why_bwrap_failed(*outcome));
    say_missing_limits();
    co_return Result<void>();
}

void SandboxRuntime::say_missing_limits() const {
    const auto missing = cgroups_.missing();
    if (missing.empty()) return;
    log::warning("this host permits no cgroup for some limits of workers",
                 {{"not_limited", missing},
                  {"instead", "processes by rlimit; run as root, or delegate a cgroup (systemd: Delegate=yes)"}});
}

Task<Result<std::string>> SandboxRuntime::prepare_image(ImageRequest request,
                                                        std::function<void(std::string)> progress) {
    if (request.image)
        co_return fail(
            ErrorCategory::permanent, "invalid",
            fmt::format("config.image is \"{}\": the {} runtime has no images; use RUNTIME=docker or leave it out",
                        *request.image, name()));
    struct Needed {
        contracts::Capability capability;
        const char* program;
        const char* package;
    };
    for (const Needed& needed :
         {Needed{contracts::Capability::git, "git", "git"}, Needed{contracts::Capability::github_cli, "gh", "gh"},
          Needed{contracts::Capability::curl, "curl", "curl"}})
        if (std::ranges::find(request.capabilities, needed.capability) != request.capabilities.end() &&
            ::access((std::string("/usr/bin/") + needed.program).c_str(), X_OK) != 0 &&
            ::access((std::string("/usr/local/bin/") + needed.program).c_str(), X_OK) != 0)
            co_return fail(
                ErrorCategory::permanent, "invalid",
                fmt::format("capability {}: the sandbox shows the host's /usr, which has no {}: apt-get install "
                            "{}, or use RUNTIME=docker",
                            needed.package, needed.program, needed.package));
    if (std::ranges::find(request.capabilities, contracts::Capability::docker) != request.capabilities.end())
        co_return fail(ErrorCategory::permanent, "invalid",
                       "capability docker is refused in the sandbox, also with DOCKER_CAPABILITY=socket: the sandbox "
                       "keeps the agent "
                       "from everything of this host, and the engine's socket would hand it all of it; use "
                       "RUNTIME=docker, or leave "
                       "it out");
    if (auto binary = agent_binary(request.agent_type)) {
        auto installed = co_await agents_.ensure(*binary, std::move(progress));
        if (!installed) co_return std::unexpected(installed.error());
    }
    co_return std::string();
}

Result<void> SandboxRuntime::check(const BodySpec& spec) const {
    if (!is_worker_name(spec.worker_id) || spec.directories.root != options_.workers / spec.worker_id)
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("worker {}: its directories are {}, expected {}", spec.worker_id,
                                spec.directories.root.string(), (options_.workers / spec.worker_id).string()));
    if (spec.installation != options_.installation || !is_worker_name(spec.installation))
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("worker {}: installation \"{}\" is not this runtime's \"{}\"", spec.worker_id,
                                spec.installation, options_.installation));
    if (!spec.image.empty() || spec.network != "none")
        return fail(
            ErrorCategory::permanent, "invalid",
            fmt::format("worker {}: the sandbox runtime has neither images nor networks (image \"{}\", network \"{}\")",
                        spec.worker_id, spec.image, spec.network));
    const fs::path wrapper = spec.programs / "worker-wrapper";
    if (::access(wrapper.c_str(), X_OK) != 0)
        return fail(ErrorCategory::permanent, "not_found", wrapper.string() + " is missing or not executable");
    if (!root_) return {};
    for (const fs::path& path : {spec.directories.root, spec.programs, spec.login.parent_path()})
        if (auto fine = check_passable(path); !fine) return fine;
    return {};
}

Task<Result<std::string>> SandboxRuntime::start(BodySpec spec) {
    if (auto fine = check(spec); !fine) co_return std::unexpected(fine.error());
    if (auto gone = co_await remove(spec.worker_id, milliseconds(0)); !gone) co_return std::unexpected(gone.error());

    SandboxTools tools{.bwrap = options_.bwrap,
                       .agents = options_.agents,
                       .cgroups = cgroups_.create(spec.worker_id, spec.limits),
                       .identity = agent_identity(spec.worker_id)};
    if (auto written = write_files(spec, tools); !written) co_return std::unexpected(written.error());

    process::Spec child;
    child.argv = launch_command(spec);
    child.environment = spec.environment;
    child.environment["WRAPPER_CONFIG"] = spec.directories.state() / "config.json";
    child.directory = "/";
    child.new_session = true;
    child.die_with_parent = false;
    auto started = process::start(executor_, std::move(child), spec.directories.state() / "wrapper.log");
    if (!started) {
        Cgroups::remove(tools.cgroups);
        co_return std::unexpected(in_context(started.error(), "start worker " + spec.worker_id));
    }
    std::shared_ptr<process::Child> wrapper = std::move(*started);
    PidFile file{wrapper->pid(), process::start_time(wrapper->pid()).value_or(0), spec.attempt, spec.installation};
    supervise(spec.worker_id, file, std::move(wrapper));
    // A remove() that follows at once must find the pid file.
    for (int round = 0; round < 5000 && runs(file.pid, file.start_time); ++round) {
        if (auto written = read_pid_file(spec.directories); written && written->pid == file.pid) break;
        co_await async::sleep_for(milliseconds(1));
    }
    co_return body_id(file.pid, file.start_time);
}

Result<void> SandboxRuntime::write_files(const BodySpec& spec, const SandboxTools& tools) {
    return write_body_files(spec, sandbox_config(spec, tools));
}

Task<void> SandboxRuntime::end_leftovers(std::string) { co_return; }

void SandboxRuntime::supervise(std::string worker_id, PidFile file, std::shared_ptr<process::Child> child) {
    if (!supervised_.insert(body_id(file.pid, file.start_time)).second) return;
    scope_.spawn("wrapper of " + worker_id, wait_for_end(worker_id, std::move(file), std::move(child)));
}

Task<void> SandboxRuntime::wait_for_end(std::string worker_id, PidFile file, std::shared_ptr<process::Child> child) {
    std::string id = body_id(file.pid, file.start_time);
    BodyEnd end{.worker_id = worker_id, .body_id = id, .exit_code = {}, .out_of_memory = false};
    std::weak_ptr<bool> owner = alive_;
    if (child) {
        int status = co_await child->wait();
        if (owner.expired()) co_return;
        end.exit_code = shell_code(status);
    } else if (is_alive(file)) {
        auto ended = co_await process::wait_for_exit(file.pid);
        if (owner.expired()) co_return;
        if (!ended && runs(file.pid, file.start_time)) {  // cannot be watched: look again when watch() starts next time
            log::warning("wrapper cannot be watched", {{"worker_id", worker_id}, {"error", ended.error().message}});
            supervised_.erase(id);
            co_return;
        }
    }
    supervised_.erase(id);
    if (runs(file.pid, file.start_time)) co_return;  // cancelled
    co_await end_leftovers(worker_id);
    if (owner.expired()) co_return;
    end.out_of_memory = Cgroups::out_of_memory(recorded_cgroups(directories(worker_id)));
    report(std::move(end));
}

void SandboxRuntime::report(BodyEnd end) {
    ends_.push_back(std::move(end));
    ended_.cancel();
}

std::vector<std::pair<std::string, PidFile>> SandboxRuntime::known_bodies() const {
    std::vector<std::pair<std::string, PidFile>> bodies;
    std::error_code error;
    for (auto it = fs::directory_iterator(options_.workers, error); !error && it != end(it); it.increment(error)) {
        std::string worker_id = it->path().filename().string();
        auto file = read_pid_file({it->path()});
        if (file && file->installation == options_.installation) bodies.emplace_back(std::move(worker_id), *file);
    }
    return bodies;
}

Task<Result<std::vector<Body>>> SandboxRuntime::list() {
    std::vector<Body> bodies;
    for (const auto& [worker_id, file] : known_bodies())
        bodies.push_back(
            {worker_id, body_id(file.pid, file.start_time), file.attempt, runs(file.pid, file.start_time)});
    co_return bodies;
}

Task<void> SandboxRuntime::watch(std::function<Task<void>(BodyEnd)> on_end) {
    for (const auto& [worker_id, file] : known_bodies()) supervise(worker_id, file, nullptr);
    const std::weak_ptr<bool> alive = alive_;
    for (;;) {
        while (!ends_.empty()) {
            // Kept until it was taken: a cancelled watch must not lose an end.
            BodyEnd end = ends_.front();
            co_await on_end(end);
            if (alive.expired()) co_return;
            if (!ends_.empty() && ends_.front().body_id == end.body_id) ends_.pop_front();
        }
        co_await ended_.async_wait(async::use_tuple);
        if (alive.expired()) co_return;
        if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) co_return;
    }
}

Task<void> SandboxRuntime::end_processes(PidFile file, milliseconds grace) {
    // bubblewrap dies with the wrapper; what does not is killed by name. The members are looked up before each end of
    // the wrapper: it cuts them off from their parent.
    auto members = process::tree_members(process::list_processes(), file.pid, file.start_time);
    if (grace.count() > 0 && signal_process(file.pid, file.start_time, SIGTERM)) {
        auto deadline = std::chrono::steady_clock::now() + grace;
        while (runs(file.pid, file.start_time) && std::chrono::steady_clock::now() < deadline)
            co_await async::sleep_for(milliseconds(5));
        std::ranges::move(process::tree_members(process::list_processes(), file.pid, file.start_time),
                          std::back_inserter(members));
    }
    signal_process(file.pid, file.start_time, SIGKILL);
    auto alive = [&] {
        if (runs(file.pid, file.start_time)) return true;
        return std::ranges::any_of(members, [](const auto& member) { return runs(member.pid, member.started); });
    };
    for (int round = 0; alive() && round < 1000; ++round) {
        for (const auto& member : members) signal_process(member.pid, member.started, SIGKILL);
        co_await async::sleep_for(milliseconds(2));
    }
}

// The wrapper first: then nobody makes more of them. Again until all that are seen stand still.
Task<Result<void>> SandboxRuntime::pause(std::string worker_id) { co_return signal_tree(worker_id, SIGSTOP); }

// The wrapper last: it finds its tree alive.
Task<Result<void>> SandboxRuntime::resume(std::string worker_id) { co_return signal_tree(worker_id, SIGCONT); }

Result<void> SandboxRuntime::signal_tree(const std::string& worker_id, int number) const {
    const auto file = is_worker_name(worker_id) ? read_pid_file(directories(worker_id)) : std::nullopt;
    if (!file || file->installation != options_.installation || !runs(file->pid, file->start_time))
        return fail(ErrorCategory::permanent, "not_found", fmt::format("worker {} does not run", worker_id));
    const bool stop = number == SIGSTOP;
    if (stop && !signal_process(file->pid, file->start_time, number))
        return posix::errno_error(fmt::format("stop the wrapper of worker {}", worker_id), errno);
    std::set<int> told;
    for (bool more = true; more;) {
        more = false;
        for (const auto& member : process::tree_members(process::list_processes(), file->pid, file->start_time))
            if (told.insert(member.pid).second) more = signal_process(member.pid, member.started, number) || more;
    }
    if (!stop && !signal_process(file->pid, file->start_time, number))
        return posix::errno_error(fmt::format("resume the wrapper of worker {}", worker_id), errno);
    return {};
}

Task<Result<void>> SandboxRuntime::remove(std::string worker_id, milliseconds grace) {
    if (!is_worker_name(worker_id)) co_return Result<void>();
    WorkerDirectories host = directories(worker_id);
    auto file = read_pid_file(host);
    if (file && file->installation != options_.installation)
        co_return fail(ErrorCategory::permanent, "conflict",
                       fmt::format("worker {} belongs to installation {}", worker_id, file->installation));
    const std::vector<std::string> cgroups = recorded_cgroups(host);
    const auto closed = commands_.close(worker_id);
    co_await commands_.ended(worker_id);
    if (file && grace.count() > 0)  // it may be paused
        if (auto woken = signal_tree(worker_id, SIGCONT); !woken)
            log::debug("a worker is ended as it is", {{"worker_id", worker_id}, {"error", woken.error().message}});
    if (file) co_await end_processes(*file, grace);
    co_await end_leftovers(worker_id);
    for (int round = 0; !Cgroups::kill_all(cgroups) && round < 500; ++round) co_await async::sleep_for(milliseconds(2));
    if ((file && runs(file->pid, file->start_time)) || !Cgroups::kill_all(cgroups))
        co_return fail(ErrorCategory::transient, "timeout",
                       fmt::format("worker {}: its processes do not end; they hang in the kernel", worker_id));
    Cgroups::remove(cgroups);
    std::error_code ignored;
    fs::remove_all(host.root / "etc", ignored);
    fs::remove(host.state() / "seccomp.bpf", ignored);
    fs::remove(host.state() / "config.json", ignored);
    fs::remove(pid_file_path(host), ignored);
    identities_.release(worker_id);
    co_return Result<void>();
}

Task<Result<std::pair<int, std::string>>> SandboxRuntime::run_inside(std::string worker_id,
                                                                     std::vector<std::string> argv,
                                                                     milliseconds timeout) {
    WorkerDirectories host = directories(worker_id);
    auto file = is_worker_name(worker_id) ? read_pid_file(host) : std::nullopt;
    if (!file || !runs(file->pid, file->start_time))
        co_return fail(ErrorCategory::permanent, "not_found", fmt::format("worker {} does not run", worker_id));
    auto text = posix::read_file(host.state() / "config.json", 4u << 20);
    if (!text) co_return std::unexpected(text.error());
    auto config = json::parse<contracts::WrapperConfig>(*text);
    if (!config) co_return std::unexpected(in_context(invalid(config.error()), "config.json of worker " + worker_id));
    if (!config->sandbox || !config->sandbox->seccomp_filter)
        co_return fail(ErrorCategory::permanent, "invalid", "worker " + worker_id + " is not a sandbox");
    auto filter = posix::read_file(*config->sandbox->seccomp_filter, 1u << 20);
    if (!filter) co_return std::unexpected(filter.error());
    const auto& limits = *config->sandbox;
    auto inner = shell_beside(std::move(argv), limits.cgroups.empty() ? limits.max_processes : 0, 0);
    auto accounts = account_mounts(host, *config);
    if (!accounts) co_return std::unexpected(accounts.error());
    std::ranges::move(*accounts, std::back_inserter(config->sandbox->mounts));
    auto command = sandbox::bwrap_command(*config, std::move(inner));
    auto spec = bwrap_spec(std::move(command), *filter, {config->agent_uid, config->agent_gid});
    spec.cgroups = config->sandbox->cgroups;
    auto outcome = co_await commands_.run(worker_id, std::move(spec), {.timeout = timeout, .output_bytes = 1u << 20});
    if (!outcome) co_return std::unexpected(outcome.error());
    if (outcome->end == process::Outcome::End::timeout)
        co_return fail(ErrorCategory::transient, "timeout",
                       fmt::format("worker {}: {}", worker_id, outcome->describe()));
    const int code = outcome->end == process::Outcome::End::exited         ? outcome->code
                     : outcome->end == process::Outcome::End::output_limit ? 128 + SIGKILL
                                                                           : 128 + outcome->code;
    co_return std::pair(code, outcome->output + outcome->errors);
}

}  // namespace codegen::worker_manager
