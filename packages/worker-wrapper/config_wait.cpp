#include "packages/worker-wrapper/config_wait.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "shared/posix/fd.hpp"
#include "shared/posix/file.hpp"

namespace codegen::wrapper {
namespace {

struct BlockedSignals {
    explicit BlockedSignals(const sigset_t& signals) { sigprocmask(SIG_BLOCK, &signals, &before); }
    ~BlockedSignals() { sigprocmask(SIG_SETMASK, &before, nullptr); }
    BlockedSignals(const BlockedSignals&) = delete;
    sigset_t before{};
};

}  // namespace

Result<bool> wait_for_config(const std::filesystem::path& config) {
    sigset_t stops;
    sigemptyset(&stops);
    for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&stops, signal);
    const BlockedSignals blocked(stops);
    const posix::Fd stopped(signalfd(-1, &stops, SFD_CLOEXEC));
    const posix::Fd changes(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!stopped || !changes) return posix::errno_error("wait for the configuration", errno);
    // Watched before it is looked for: one that comes in between is not missed.
    const auto folder = config.parent_path();
    if (inotify_add_watch(changes.get(), folder.c_str(), IN_MOVED_TO | IN_ONLYDIR) < 0)
        return posix::errno_error("watch " + folder.string(), errno);
    std::array<pollfd, 2> wait{pollfd{stopped.get(), POLLIN, 0}, pollfd{changes.get(), POLLIN, 0}};
    while (::access(config.c_str(), F_OK) != 0) {
        if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR)
            return posix::errno_error("wait for " + config.string(), errno);
        if ((wait[0].revents & POLLIN) != 0) {
            signalfd_siginfo taken{};
            [[maybe_unused]] auto got = ::read(stopped.get(), &taken, sizeof taken);
            return false;
        }
        alignas(inotify_event) std::array<char, 4096> events;
        while (::read(changes.get(), events.data(), events.size()) > 0) {
        }
    }
    return true;
}

}  // namespace codegen::wrapper
