// Gives the worker its task and waits for the agent's result: a claim.
#include <fmt/format.h>

#include "services/workflow/judgement.hpp"
#include "services/workflow/nodes/node.hpp"
#include "shared/base/ids.hpp"

namespace codegen::workflow {
namespace {

void enter(Mover& mover) {
    mover.run.data.developing_since = mover.context.now;
    mover.run.data.developing_request_id = mover.run.request_id;
    mover.run.data.claim.reset();
    mover.run.data.attempt_failure.reset();
    mover.progress(contracts::ProgressType::progress, "develop",
                   fmt::format("the agent works in {}", mover.run.data.worker_id), 20);
}

void request(Mover& mover) {
    const auto& run = mover.run;
    contracts::DeveloperWorkerInput input;
    input.request_id = run.request_id;
    input.task_id = run.task_id;
    input.project_id = run.data.project_id;
    input.prompt = run.data.message.value_or(run.data.prompt);
    input.timeout = timeout_seconds(run);
    if (run.data.continuing) input.session_id = run.data.session_id;
    input.budget_usd = budget_usd(run);
    input.timestamp = mover.context.now;
    mover.publish(contracts::streams::worker_input(run.data.worker_id), json::write(input));
}

void answer(Mover& mover, const Event& event) {
    const auto* finished = std::get_if<DeveloperFinished>(&event);
    if (!finished) return;
    auto& data = mover.run.data;
    data.claim = finished->output;
    if (const auto& session = finished->output.session_id; session && is_uuid(*session)) data.session_id = session;
    const auto judged = judge_claim(finished->output);
    switch (judged.what) {
        case ClaimJudgement::What::claimed_success:
            return mover.go(Node::collect);
        case ClaimJudgement::What::failed:
            return mover.fail_attempt(*judged.reason, judged.error);
        case ClaimJudgement::What::blocked:
            post_execution(mover, {});
            return mover.go(Node::blocked);
    }
}

void overdue(Mover& mover) {
    mover.fail_attempt(Reason::timeout,
                       fmt::format("no result within the {} s time limit of the task", timeout_seconds(mover.run)));
}

}  // namespace

const NodeDefinition kDevelop{Node::develop,
                              [](const Run& run, const Timings& timings) -> std::optional<std::chrono::milliseconds> {
                                  return std::chrono::seconds(timeout_seconds(run)) + timings.develop_grace;
                              },
                              enter,
                              request,
                              answer,
                              overdue};

}  // namespace codegen::workflow
