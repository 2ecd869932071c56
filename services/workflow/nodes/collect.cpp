// Has the worker-manager check the worker's commits and push them to the task's branch: the claim becomes a fact or
// not.
#include "services/workflow/judgement.hpp"
#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

void enter(Mover& mover) {
    mover.progress(contracts::ProgressType::progress, "collect", "checking the agent's commits", 80);
}

void request(Mover& mover) {
    const auto& run = mover.run;
    contracts::CollectWorkerCommand command;
    command.request_id = run.request_id;
    command.correlation_id = run.data.correlation_id;
    command.timestamp = mover.context.now;
    command.worker_id = run.data.worker_id;
    command.branch = branch_of(run);
    if (run.data.claim) command.claimed_sha = run.data.claim->commit_sha;
    mover.command(json::write(command));
}

void answer(Mover& mover, const Event& event) {
    const auto* collected = std::get_if<WorkCollected>(&event);
    if (!collected || !mover.run.data.claim) return;
    auto& data = mover.run.data;
    data.collected = collected->response;
    auto judged = judge_commit(*data.claim, collected->response);
    // The work is there: only its collection is tried again.
    if (judged.reason == Reason::infrastructure && try_again(mover, judged, Node::collect))
        return mover.go(Node::pause);
    if (judged.ending != Ending::completed || !data.tests.command || !collected->response.commit_sha ||
        collected->response.commits == 0)
        return mover.end(std::move(judged));
    data.after_park = Node::create_tester;
    mover.go(Node::park);
}

void overdue(Mover& mover) {
    mover.fail(Reason::infrastructure, "the worker's commits were not collected within the time limit");
}

}  // namespace

const NodeDefinition kCollect{
    Node::collect,
    [](const Run&, const Timings& timings) -> std::optional<std::chrono::milliseconds> { return timings.collect; },
    enter,
    request,
    answer,
    overdue};

}  // namespace codegen::workflow
