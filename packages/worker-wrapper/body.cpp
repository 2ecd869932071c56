#include "packages/worker-wrapper/body.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string_view>

#include "packages/worker-wrapper/host_process.hpp"
#include "packages/worker-wrapper/log.hpp"
#include "packages/worker-wrapper/spawn.hpp"
#include "shared/json/json.hpp"
#include "shared/posix/file.hpp"

namespace codegen::wrapper {
namespace {

constexpr std::chrono::milliseconds kKillInterval{5};
constexpr std::chrono::seconds kKillWarning{5};

std::vector<pid_t> children_of(pid_t pid) {
    const std::string id = std::to_string(pid);
    std::ifstream file("/proc/" + id + "/task/" + id + "/children");
    std::vector<pid_t> out;
    for (pid_t child = 0; file >> child;) out.push_back(child);
    return out;
}

// Whether of our children, orphans among them, only those are left that never had the agent's identity: an engine of
// the worker's own and what belongs to it.
bool none_is_agents(int agent_uid) {
    return std::ranges::none_of(children_of(getpid()), [&](pid_t child) {
        struct stat status{};
        return ::stat(("/proc/" + std::to_string(child)).c_str(), &status) == 0 &&
               status.st_uid == static_cast<uid_t>(agent_uid);
    });
}

// Signals with the agent's identity: uid 0 without CAP_KILL may not signal it. Real and saved uid stay 0, so the agent
// cannot signal us meanwhile.
void as_agent(uid_t agent, const auto& action) {
    if (setresuid(static_cast<uid_t>(-1), agent, 0) != 0) {
        log_error("cannot take the agent's identity", {{"error", std::strerror(errno)}});
        return;
    }
    action();
    if (setresuid(static_cast<uid_t>(-1), 0, 0) != 0) std::abort();
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // a change of identity may reset it
}

AgentEnd end_of(int status) {
    AgentEnd end;
    if (WIFSIGNALED(status)) {
        end.signal = WTERMSIG(status);
    } else {
        end.exit_code = WEXITSTATUS(status);
    }
    return end;
}

}  // namespace

Body::Body(Loop& loop, const contracts::WrapperConfig& config, std::string own_program)
    : loop_(loop), config_(config), own_program_(std::move(own_program)) {}

Body::~Body() {
    loop_.cancel(timer_);
    if (report_) loop_.unwatch(report_.get());
    discard_prepared();
}

void Body::start(const LaunchPlan& plan, const BodyStreams& streams, Events events) {
    events_ = std::move(events);
    said_started_ = said_end_ = false;
    told_.reset();
    report_text_.clear();
    init_ = -1;
    auto started = config_.sandbox ? start_in_sandbox(plan, streams)
                                   : start_directly(config_.process ? at_host_paths(plan, config_) : plan, streams);
    report_child_.reset();
    if (!started) {
        loop_.after(std::chrono::milliseconds(0), [this, why = started.error().message] { say_failed(why); });
        return;
    }
    pid_ = *started;
    if (!report_) {
        loop_.after(std::chrono::milliseconds(0), [this] {
            if (!std::exchange(said_started_, true) && !said_end_ && events_.started) events_.started();
        });
    }
}

void Body::open_report() {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return;
    report_ = posix::Fd(ends[0]);
    report_child_ = posix::Fd(ends[1]);
    loop_.watch(report_.get(), EPOLLIN, [this](std::uint32_t) { read_report(); });
}

Result<pid_t> Body::start_directly(const LaunchPlan& plan, const BodyStreams& streams) {
    SpawnSpec spec;
    spec.argv = plan.argv;
    spec.environment = plan.environment;
    spec.directory = plan.directory;
    spec.input = streams.input;
    spec.output = streams.output;
    spec.errors = streams.errors;
    if (geteuid() == 0) {
        spec.identity = Identity{static_cast<uid_t>(config_.agent_uid), static_cast<gid_t>(config_.agent_gid), {}};
        for (int group : config_.agent_groups) spec.identity->groups.push_back(static_cast<gid_t>(group));
    }
    spec.likely_oom_victim = true;
    if (config_.process) limit_host_process(spec, *config_.process);
    if (plan.files.empty() && !plan.session) return spawn(spec);
    auto plan_fd = plan_descriptor(plan);
    if (!plan_fd) return std::unexpected(plan_fd.error());
    open_report();
    spec.argv = {own_program_, "launch", std::to_string(plan_fd->get()), std::to_string(report_child_.get())};
    spec.keep = {plan_fd->get(), report_child_.get()};
    return spawn(spec);
}

Result<pid_t> Body::start_in_sandbox(const LaunchPlan& plan, const BodyStreams& streams) {
    const bool was_prepared = prepared_.has_value();
    if (!prepared_) {
        auto made = prepare_sandbox(config_);
        if (!made) return std::unexpected(made.error());
        prepared_ = std::move(*made);
    }
    if (was_prepared) {
        auto copy = [](int fd) { return posix::Fd(fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1); };
        told_ = Told{plan, copy(streams.input), copy(streams.output), copy(streams.errors)};
    }
    // One that does not take it any more is about to end, and its end is dealt with where it is seen.
    if (auto sent = send_start(prepared_->control.get(), plan, streams); !sent && sent.error().code != "unavailable") {
        discard_prepared();
        return std::unexpected(sent.error());
    }
    running_ = std::move(*prepared_);
    prepared_.reset();
    running_.control.reset();
    report_ = std::move(running_.report);
    loop_.watch(report_.get(), EPOLLIN, [this](std::uint32_t) { read_report(); });
    return running_.pid;
}

// A sandbox that waited and died: nothing of the request happened in it.
bool Body::start_again() {
    if (!told_ || killing_) return false;
    const Told told = std::move(*std::exchange(told_, std::nullopt));
    if (report_) {
        loop_.unwatch(report_.get());
        report_.reset();
    }
    log("warning", "the prepared sandbox died, another one takes the request", {{"error", complaint(running_)}});
    auto started = start_in_sandbox(told.plan, {told.input.get(), told.output.get(), told.errors.get()});
    if (!started) return false;
    pid_ = *started;
    return true;
}

void Body::prepare() {
    if (!config_.sandbox || prepared_ || !empty()) return;
    auto made = prepare_sandbox(config_);
    if (made) {
        prepared_ = std::move(*made);
    } else {
        log("warning", "no sandbox can be prepared; the next request tries again", {{"error", made.error().message}});
    }
}

void Body::discard_prepared() {
    if (!prepared_) return;
    const pid_t pid = prepared_->pid;
    prepared_.reset();
    ::kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    // What lost its bubblewrap before that could tie it to itself came to us.
    for (pid_t orphan : children_of(getpid())) ::kill(orphan, SIGKILL);
}

void Body::read_report() {
    std::array<char, 4096> buffer;
    for (;;) {
        const auto count = ::read(report_.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return;
        if (count == 0) break;
        report_text_.append(buffer.data(), static_cast<std::size_t>(count));
        for (std::size_t end = 0; (end = report_text_.find('\n')) != std::string::npos;) {
            const std::string line = report_text_.substr(0, end);
            report_text_.erase(0, end + 1);
            report_line(line);
            if (!report_) return;
        }
    }
    loop_.unwatch(report_.get());
    report_.reset();
    // `launch` closes it by becoming the agent.
    if (!config_.sandbox && !said_end_ && !std::exchange(said_started_, true) && events_.started) events_.started();
}

void Body::report_line(std::string_view line) {
    auto value = json::parse_any(line);
    const auto* object = value ? value->if_object() : nullptr;
    if (object == nullptr) return;
    if (object->contains("started")) {
        told_.reset();
        if (!std::exchange(said_started_, true) && events_.started) events_.started();
    } else if (const auto* known = object->if_contains("known_session"); known != nullptr && known->is_bool()) {
        if (!said_started_ && events_.session) events_.session(known->get_bool());
    } else if (const auto* error = object->if_contains("error"); error != nullptr && error->is_string()) {
        say_failed(std::string(error->get_string()));
    } else if (const auto* code = object->if_contains("exit"); code != nullptr && code->is_int64()) {
        say_ended({static_cast<int>(code->get_int64()), std::nullopt});
    } else if (const auto* signal = object->if_contains("signal"); signal != nullptr && signal->is_int64()) {
        say_ended({std::nullopt, static_cast<int>(signal->get_int64())});
    }
}

void Body::say_ended(AgentEnd end) {
    if (std::exchange(said_end_, true)) return;
    if (events_.ended) events_.ended(end);
}

void Body::say_failed(std::string why) {
    if (std::exchange(said_end_, true)) return;
    told_.reset();
    if (events_.failed) events_.failed(std::move(why));
}

void Body::on_child_signal() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (prepared_ && pid == prepared_->pid) {
            const std::string why = complaint(*prepared_);
            log("warning", "the prepared sandbox ended", {{"error", why}});
            prepared_.reset();
            continue;
        }
        if (pid != pid_) continue;  // an orphan that came to us
        pid_ = -1;
        if (report_) read_report();
        if (said_end_) continue;
        if (config_.sandbox && !said_started_) {
            if (start_again()) continue;
            const AgentEnd end = end_of(status);
            const std::string why = complaint(running_);
            say_failed("the sandbox ended with " + std::to_string(end.shell_code()) + " before the agent started" +
                       (why.empty() ? "" : ": " + why));
        } else {
            say_ended(end_of(status));
        }
    }
    if (killing_) kill_round();
}

void Body::terminate() {
    if (config_.process) {
        if (pid_ > 0) ::kill(-pid_, SIGTERM);
        return;
    }
    if (!config_.sandbox) {
        if (pid_ > 0) as_agent(static_cast<uid_t>(config_.agent_uid), [&] { ::kill(-pid_, SIGTERM); });
        return;
    }
    if (pid_ > 0)
        for (pid_t init : children_of(pid_)) ::kill(init, SIGTERM);
}

void Body::kill() {
    if (killing_) return;
    killing_ = true;
    kill_began_ = std::chrono::steady_clock::now();
    // Not from here: the caller may be in the middle of handling what led to it.
    timer_ = loop_.after(std::chrono::milliseconds(0), [this] { kill_round(); });
}

void Body::kill_everything() {
    if (config_.process) return kill_host_processes(config_);
    if (config_.sandbox) {
        discard_prepared();
        if (pid_ > 0) ::kill(pid_, SIGKILL);
        // We are a subreaper: what loses its bubblewrap before that could tie it to itself is our child now.
        for (pid_t orphan : children_of(getpid())) ::kill(orphan, SIGKILL);
    } else {
        as_agent(static_cast<uid_t>(config_.agent_uid), [] { ::kill(-1, SIGKILL); });
    }
}

void Body::kill_round() {
    loop_.cancel(timer_);
    kill_everything();
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == pid_) {
            pid_ = -1;
            if (report_) read_report();
            if (!said_end_) say_ended(end_of(status));
        }
    }
    if ((pid < 0 && errno == ECHILD) || (pid == 0 && config_.own_engine && none_is_agents(config_.agent_uid))) {
        killing_ = false;
        if (report_) {
            loop_.unwatch(report_.get());
            report_.reset();
        }
        // Taken out first: what is called may start the next tree.
        const auto events = std::exchange(events_, {});
        if (events.tree_gone) events.tree_gone();
        return;
    }
    if (std::chrono::steady_clock::now() - kill_began_ > kKillWarning) {
        log_error("processes of the agent survive SIGKILL, still trying; the result waits for their end");
        kill_began_ = std::chrono::steady_clock::now();
    }
    timer_ = loop_.after(kKillInterval, [this] { kill_round(); });
}

}  // namespace codegen::wrapper
