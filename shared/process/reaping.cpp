#include "shared/process/reaping.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <set>

#include "shared/posix/file.hpp"
#include "shared/process/tree.hpp"

namespace codegen::process {
namespace {

// The children that somebody waits for. A lock, because tests run several io_context threads.
class Registry {
  public:
    void insert(int pid) {
        const std::lock_guard lock(mutex_);
        pids_.insert(pid);
    }
    void erase(int pid) {
        const std::lock_guard lock(mutex_);
        pids_.erase(pid);
    }
    bool contains(int pid) {
        const std::lock_guard lock(mutex_);
        return pids_.contains(pid);
    }

  private:
    std::mutex mutex_;
    std::set<int> pids_;
};

Registry& registry() {
    static Registry instance;
    return instance;
}

}  // namespace

OwnedProcess::OwnedProcess(const asio::any_io_executor& executor, Spawned spawned)
    : pid_(spawned.pid), started_(spawned.started), pidfd_(executor, spawned.pidfd.release()) {
    registry().insert(pid_);
}

OwnedProcess::~OwnedProcess() {
    if (!reaped_) registry().erase(pid_);
}

Task<bool> OwnedProcess::ended() {
    auto [error] = co_await pidfd_.async_wait(asio::posix::stream_descriptor::wait_read, async::use_tuple);
    co_return !error;
}

int OwnedProcess::reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    registry().erase(pid_);
    return status;
}

void OwnedProcess::signal(int number) {
    if (!reaped_) ::syscall(SYS_pidfd_send_signal, pidfd_.native_handle(), number, nullptr, 0);
}

void OwnedProcess::kill_tree() { kill_process_tree(pid_, started_); }

void become_subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

Task<void> reap_orphans(std::chrono::milliseconds interval) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (;;) {
        timer.expires_after(interval);
        auto [error] = co_await timer.async_wait(async::use_tuple);
        if (error) co_return;
        // Cheap when there are no children; a zombie costs one stat line.
        siginfo_t any{};
        if (::waitid(P_ALL, 0, &any, WEXITED | WNOHANG | WNOWAIT) < 0 || any.si_pid == 0) continue;
        for (const auto& process : list_processes()) {
            if (process.parent != ::getpid() || process.alive() || registry().contains(process.pid)) continue;
            ::waitpid(process.pid, nullptr, WNOHANG);
        }
    }
}

Task<Result<void>> wait_for_exit(int pid) {
    posix::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd) {
        if (errno == ESRCH) co_return Result<void>();
        co_return posix::errno_error("watch process " + std::to_string(pid), errno);
    }
    asio::posix::stream_descriptor watched(co_await asio::this_coro::executor, pidfd.release());
    auto [error] = co_await watched.async_wait(asio::posix::stream_descriptor::wait_read, async::use_tuple);
    if (error) co_return fail(ErrorCategory::transient, "cancelled", "watch process: cancelled");
    co_return Result<void>();
}

}  // namespace codegen::process
