// What this process may do: as little as its form needs, before it touches anything.
#pragma once
#include "shared/base/result.hpp"
#include "shared/contracts/wrapper_config.hpp"

namespace codegen::wrapper {

// Not dumpable (nobody reads our memory), no new privileges. Sandbox and process as root: only SETUID, SETGID and KILL
// stay, also in the bounding set; adopts orphans. Docker: the container's set stays as it is; must be PID 1 and uid 0,
// because killing everything of the agent's uid is safe only in a pid namespace of our own.
Result<void> restrict_process(const contracts::WrapperConfig& config);

// For the scope: files that are made get this group (no CAP_CHOWN needed).
class EffectiveGroup {
  public:
    explicit EffectiveGroup(int gid);
    ~EffectiveGroup();
    EffectiveGroup(const EffectiveGroup&) = delete;

  private:
    int before_;
};

}  // namespace codegen::wrapper
