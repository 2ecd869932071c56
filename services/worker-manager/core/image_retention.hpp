// Which built images go, and when to look. Pure.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/timestamp.hpp"

namespace codegen::worker_manager {

struct ImageUse {
    std::string tag;
    Timestamp last_used{};
    bool in_use = false;
};

// Those that nobody uses and nobody used for `unused_for`, the longest unused first. A last use in the future (the
// clock was set back) counts as now.
std::vector<std::string> removable_images(std::vector<ImageUse> images, Timestamp now,
                                          std::chrono::microseconds unused_for);

// Due a while after the start, so that a control plane that is restarted every day cleans up too, then once a period.
class CleanupSchedule {
  public:
    CleanupSchedule(std::chrono::microseconds first, std::chrono::microseconds period)
        : first_(first), period_(period) {}
    bool due(Timestamp now);     // the first call starts the time
    void done(Timestamp now);    // not due again before a period has passed
    void failed(Timestamp now);  // due again as after a start

  private:
    const std::chrono::microseconds first_;
    const std::chrono::microseconds period_;
    std::optional<Timestamp> next_;
};

}  // namespace codegen::worker_manager
