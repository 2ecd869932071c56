// Signal dispositions of a child before exec.
#pragma once
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace codegen::posix {

// Every signal to its default, so that the program about to run inherits no ignored one. Async-signal-safe. By system
// call: glibc's sigaction refuses its own two (32, 33), which an odd ancestor may have left ignored all the same.
inline void restore_default_signals() {
    static constexpr std::array<unsigned char, 64> kDefaultAction{};  // the kernel's struct sigaction, all zero
    constexpr int kSignals = 64;
    for (int number = 1; number <= kSignals; ++number)
        ::syscall(SYS_rt_sigaction, number, kDefaultAction.data(), nullptr,
                  kSignals / 8);  // KILL and STOP refuse: default
}

}  // namespace codegen::posix
