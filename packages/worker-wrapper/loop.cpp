#include "packages/worker-wrapper/loop.hpp"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace codegen::wrapper {

using std::chrono::steady_clock;

Loop::Loop()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), timer_fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
    if (!epoll_ || !timer_fd_) std::abort();
    watch(timer_fd_.get(), EPOLLIN, [this](std::uint32_t) {
        std::uint64_t expirations = 0;
        [[maybe_unused]] auto got = ::read(timer_fd_.get(), &expirations, sizeof expirations);
        armed_ = {};
        run_timers();
    });
}

Loop::~Loop() = default;

void Loop::watch(int fd, std::uint32_t events, Callback callback) {
    auto entry = std::make_shared<Watch>(Watch{std::move(callback), ++generation_});
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0 && errno == EEXIST)
        epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
    watches_[fd] = std::move(entry);
}

void Loop::change(int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::unwatch(int fd) {
    if (watches_.erase(fd) != 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

Loop::TimerId Loop::after(std::chrono::milliseconds delay, std::function<void()> callback) {
    const auto deadline = steady_clock::now() + delay;
    const TimerId id = ++last_timer_;
    timers_.emplace(std::pair(deadline, id), std::move(callback));
    deadlines_.emplace(id, deadline);
    return id;
}

void Loop::cancel(TimerId& timer) {
    if (auto found = deadlines_.find(timer); found != deadlines_.end()) {
        timers_.erase({found->second, timer});
        deadlines_.erase(found);
    }
    timer = 0;
}

void Loop::arm() {
    if (timers_.empty()) return;  // a spurious expiry does no harm
    const auto first = timers_.begin()->first.first;
    if (armed_ == first) return;
    const auto wait = std::max(first - steady_clock::now(), steady_clock::duration(1));
    itimerspec spec{};
    spec.it_value.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(wait).count();
    spec.it_value.tv_nsec = (wait % std::chrono::seconds(1)).count();
    timerfd_settime(timer_fd_.get(), 0, &spec, nullptr);
    armed_ = first;
}

void Loop::run_timers() {
    const auto now = steady_clock::now();
    while (!stopped_ && !timers_.empty() && timers_.begin()->first.first <= now) {
        auto node = timers_.extract(timers_.begin());
        deadlines_.erase(node.key().second);
        node.mapped()();
    }
}

void Loop::on_signals(std::initializer_list<int> signals, std::function<void(const signalfd_siginfo&)> callback) {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : signals) sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signal_fd_ = posix::Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    watch(signal_fd_.get(), EPOLLIN, [this, callback = std::move(callback)](std::uint32_t) {
        signalfd_siginfo info{};
        while (::read(signal_fd_.get(), &info, sizeof info) == sizeof info) callback(info);
    });
}

void Loop::run() {
    std::array<epoll_event, 32> events{};
    while (!stopped_) {
        if (before_wait_) before_wait_();
        if (stopped_) break;
        arm();
        const std::uint64_t newest = generation_;
        const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < count && !stopped_; ++i) {
            auto found = watches_.find(events[static_cast<std::size_t>(i)].data.fd);
            // A descriptor that was closed and whose number came back within this round is not the one that was ready.
            if (found == watches_.end() || found->second->generation > newest) continue;
            auto keep = found->second;
            keep->callback(events[static_cast<std::size_t>(i)].events);
        }
    }
}

}  // namespace codegen::wrapper
