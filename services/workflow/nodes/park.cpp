// Gives the developer's body back, so that a run never has two: its workspace is kept by the worker-manager, its
// conversation by the agent's session. A person may answer meanwhile.
#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

void nothing(Mover&) {}

void request(Mover& mover) { mover.delete_worker(mover.run.request_id, mover.run.data.worker_id, true); }

void answer(Mover& mover, const Event& event) {
    auto& data = mover.run.data;
    if (const auto* resume = std::get_if<ResumeAsked>(&event)) return take_guidance(mover, resume->guidance);
    const auto* deleted = std::get_if<WorkerDeleted>(&event);
    if (!deleted || !deleted->response.success) return;  // it may still be there: the resend asks again
    data.workspace_kept = true;
    auto gateway = deleted->response.gateway;
    if (!gateway && data.collected) gateway = data.collected->gateway;
    if (data.developing_request_id)
        post_execution(mover, std::move(gateway), Outcome{Ending::completed, {}, {}});
    else
        data.earlier_gateway = std::move(gateway);
    if (data.after_park == Node::create_tester) return mover.go(Node::create_tester);
    mover.go(data.question ? Node::blocked : Node::create_worker);
}

void overdue(Mover& mover) {
    if (mover.run.data.after_park == Node::create_tester)
        return mover.fail(Reason::infrastructure, "the worker could not be removed before its commits were tested");
    mover.run.deadline.reset();  // a person is waited for anyway
}

}  // namespace

const NodeDefinition kPark{
    Node::park,
    [](const Run&, const Timings& timings) -> std::optional<std::chrono::milliseconds> { return timings.give_back; },
    nothing,
    request,
    answer,
    overdue};

}  // namespace codegen::workflow
