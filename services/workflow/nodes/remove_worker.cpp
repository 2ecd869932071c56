// Removes the worker, on every path. The outcome is published when the worker is gone, or when that takes too long; the
// removal is asked for until it is answered.
#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

void nothing(Mover&) {}

void request(Mover& mover) {
    const auto& run = mover.run;
    contracts::DeleteWorkerCommand command;
    command.request_id = run.request_id;
    command.correlation_id = run.data.correlation_id;
    command.timestamp = mover.context.now;
    command.worker_id = run.data.worker_id;
    mover.command(json::write(command));
}

void settle(Mover& mover, std::optional<boost::json::object> gateway) {
    auto& data = mover.run.data;
    if (data.outcome_published) return;
    if (!gateway && data.collected) gateway = data.collected->gateway;
    if (data.developing_request_id) post_execution(mover, std::move(gateway));
    publish_outcome(mover);
}

void answer(Mover& mover, const Event& event) {
    const auto* deleted = std::get_if<WorkerDeleted>(&event);
    if (!deleted) return;
    settle(mover, deleted->response.gateway);
    if (deleted->response.success) mover.go(Node::done);
    // Else it may still be there: the resend asks again.
}

void overdue(Mover& mover) {
    settle(mover, {});
    mover.run.deadline.reset();  // only the answer is missing, and resends ask for it
}

}  // namespace

const NodeDefinition kRemoveWorker{Node::remove_worker,
                                   [](const Run&, const Timings& timings) -> std::optional<std::chrono::milliseconds> {
                                       return timings.remove_worker;
                                   },
                                   nothing,
                                   request,
                                   answer,
                                   overdue};

}  // namespace codegen::workflow
