// One child of ours until it is reaped, by its pidfd: no SIGCHLD handler, other code's children are not touched.
#pragma once
#include <boost/asio/posix/stream_descriptor.hpp>

#include "shared/process/spawn.hpp"

namespace codegen::process {

class OwnedProcess {
  public:
    OwnedProcess(const asio::any_io_executor& executor, Spawned spawned);
    ~OwnedProcess();  // a child that was not waited for is left to reap_orphans()
    OwnedProcess(const OwnedProcess&) = delete;

    int pid() const { return pid_; }
    // Completes when it has ended; it stays a zombie until reap(). False: cancelled.
    Task<bool> ended();
    int reap();  // blocks until it has ended; the wait status; once
    bool reaped() const { return reaped_; }
    void signal(int number);
    void kill_tree();

  private:
    int pid_;
    std::uint64_t started_;
    asio::posix::stream_descriptor pidfd_;
    bool reaped_ = false;
};

}  // namespace codegen::process
