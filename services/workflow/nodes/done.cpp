// The end. A run without a worker comes here directly.
#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

void nothing(Mover&) {}
void nothing_answered(Mover&, const Event&) {}
void enter(Mover& mover) {
    if (!mover.run.data.outcome_published) publish_outcome(mover);
}

}  // namespace

const NodeDefinition kDone{Node::done,
                           [](const Run&, const Timings&) -> std::optional<std::chrono::milliseconds> { return {}; },
                           enter,
                           nothing,
                           nothing_answered,
                           nothing};

}  // namespace codegen::workflow
