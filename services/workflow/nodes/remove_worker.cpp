// Removes the worker and what was kept of it, on every path. The outcome is published when the worker is gone, or when
// that takes too long; the removal is asked for until it is answered. An attempt that is tried again goes on from here.
#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

void nothing(Mover&) {}

void request(Mover& mover) { mover.delete_worker(mover.run.request_id, mover.run.data.worker_id); }

void answer(Mover& mover, const Event& event) {
    const auto* deleted = std::get_if<WorkerDeleted>(&event);
    if (!deleted) return;
    const bool gone = deleted->response.success;  // else it may still be there: the resend asks again
    if (mover.run.data.outcome) {
        settle(mover, deleted->response.gateway);
        if (gone) mover.go(Node::done);
        return;
    }
    if (mover.run.data.developing_request_id) post_execution(mover, deleted->response.gateway);
    if (!gone) return;
    mover.run.data.worker_exists = false;
    mover.go(Node::pause);
}

void overdue(Mover& mover) {
    settle(mover, {});
    mover.run.deadline.reset();  // only the answer is missing, and resends ask for it
}

}  // namespace

const NodeDefinition kRemoveWorker{
    Node::remove_worker,
    [](const Run& run, const Timings& timings) -> std::optional<std::chrono::milliseconds> {
        return run.data.outcome ? timings.remove_worker : timings.give_back;
    },
    nothing,
    request,
    answer,
    overdue};

}  // namespace codegen::workflow
