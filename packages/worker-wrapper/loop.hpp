// One epoll loop on one thread: descriptors, one timerfd for all timers, one signalfd. Callbacks may add and remove
// anything, also themselves; a callback of a removed descriptor or timer is not called any more.
#pragma once
#include <sys/signalfd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <utility>

#include "shared/posix/fd.hpp"

namespace codegen::wrapper {

class Loop {
  public:
    using Callback = std::function<void(std::uint32_t events)>;  // EPOLLIN, EPOLLOUT, ...
    using TimerId = std::uint64_t;                               // 0: none

    Loop();  // aborts when the kernel gives no epoll: nothing works without
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // `fd` stays the caller's and must be unwatched before it is closed. Level-triggered.
    void watch(int fd, std::uint32_t events, Callback callback);
    void change(int fd, std::uint32_t events);
    void unwatch(int fd);

    TimerId after(std::chrono::milliseconds delay, std::function<void()> callback);
    void cancel(TimerId& timer);  // sets it to 0; 0 is ignored

    // Blocks these signals for the process (children must restore the mask, see spawn.hpp) and hands them over.
    void on_signals(std::initializer_list<int> signals, std::function<void(const signalfd_siginfo&)> callback);
    // Called once before each wait: the place to flush what callbacks have gathered.
    void before_wait(std::function<void()> callback) { before_wait_ = std::move(callback); }

    void run();  // until stop()
    void stop() { stopped_ = true; }

  private:
    struct Watch {
        Callback callback;
        std::uint64_t generation = 0;
    };
    void arm();
    void run_timers();

    posix::Fd epoll_;
    posix::Fd timer_fd_;
    posix::Fd signal_fd_;
    std::map<int, std::shared_ptr<Watch>> watches_;
    std::map<std::pair<std::chrono::steady_clock::time_point, TimerId>, std::function<void()>> timers_;
    std::map<TimerId, std::chrono::steady_clock::time_point> deadlines_;
    TimerId last_timer_ = 0;
    std::uint64_t generation_ = 0;
    std::chrono::steady_clock::time_point armed_{};
    std::function<void()> before_wait_;
    bool stopped_ = false;
};

}  // namespace codegen::wrapper
