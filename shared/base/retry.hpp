// How often and how long to wait before trying again, by error category (docs/protocols.md). Pure.
#pragma once
#include <chrono>
#include <functional>
#include <optional>

#include "shared/base/result.hpp"

namespace codegen {

class RetryPolicy {
  public:
    // `random` returns a number in [0, 1); it makes the +-100 ms jitter of transient retries.
    explicit RetryPolicy(std::function<double()> random);
    RetryPolicy();  // with a real random source

    // The wait before retry number `retries_done + 1`, or nullopt when the retries are spent (transient: 3,
    // upstream: 5) or the category allows none. `retry_after` is what the other side asked for, upstream only.
    std::optional<std::chrono::milliseconds> next(ErrorCategory category, int retries_done,
                                                  std::optional<std::chrono::seconds> retry_after = {}) const;

  private:
    std::function<double()> random_;
};

}  // namespace codegen
