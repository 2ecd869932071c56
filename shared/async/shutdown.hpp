// How a role runs: until somebody stops it, it is cancelled, or a part of it fails for good.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <string_view>

#include "shared/async/async.hpp"

namespace codegen::async {

// Use on one thread (the executor's). Outlives the tasks of wait() and watch().
class Shutdown {
  public:
    explicit Shutdown(asio::any_io_executor executor);

    void begin();            // also before anybody waits for it
    void fail(Error error);  // begins it; the first reason counts
    // For a scope: runs a part of the role, whose error, when it ends with one, is the role's.
    Task<void> watch(Task<Result<void>> part);
    // Until it has begun or the caller is cancelled. From here on the caller cannot be cancelled (async.hpp): its
    // clean-up is not cut short.
    Task<void> wait();
    // What the role's run() returns: the reason, if there was one, with `who` before it.
    Result<void> outcome(std::string_view who) const;

  private:
    asio::steady_timer begun_;
    bool has_begun_ = false;
    std::optional<Error> failure_;
};

}  // namespace codegen::async
