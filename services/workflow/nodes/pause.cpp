// The wait before something is tried again: twice as long every time.
#include <algorithm>

#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

constexpr int kMostDoublings = 6;

void nothing(Mover&) {}
void nothing_answered(Mover&, const Event&) {}

std::optional<std::chrono::milliseconds> limit(const Run& run, const Timings& timings) {
    std::int64_t retries = 0;
    for (const auto& [reason, count] : run.data.retries) retries += count.is_int64() ? count.get_int64() : 0;
    return timings.retry_pause * (1ll << std::clamp<std::int64_t>(retries - 1, 0, kMostDoublings));
}

void overdue(Mover& mover) {
    auto& data = mover.run.data;
    if (data.after_pause == Node::create_worker) begin_attempt(mover.run);
    data.attempt_failure.reset();
    mover.go(data.after_pause);
}

}  // namespace

const NodeDefinition kPause{Node::pause, limit, nothing, nothing, nothing_answered, overdue};

}  // namespace codegen::workflow
