// Background work belongs to a Scope: no bare `detached`.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>
#include <string>

#include "shared/async/async.hpp"

namespace codegen::async {

// Owns coroutines that it spawned. Use on one thread (the executor's). Declare it as the last member of its owner: then
// the work ends before what the work uses. Tasks start from the executor's queue, not inside spawn(). An exception that
// leaves a task, other than its cancellation (async.hpp), is a bug: it is logged with the task's name and terminates
// the process.
class Scope {
  public:
    explicit Scope(asio::any_io_executor executor);
    Scope(const Scope&) = delete;
    // Cancels what still runs. A destructor cannot wait: call stop() first; tasks that are still alive keep only their
    // own frames.
    ~Scope();

    void spawn(std::string name, Task<void> task);
    void cancel();       // ask every task to end (asio cancellation, terminal); new tasks are dropped unstarted
    Task<void> stop();   // cancel() at the call, then wait until all have ended; not from a task of this scope
    Task<void> drain();  // wait until all have ended by themselves
    std::size_t size() const;
    asio::any_io_executor executor() const;

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace codegen::async
