// The agent needs a person's answer: waits, without a deadline, for resume or cancel. Its worker stays.
#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

void enter(Mover& mover) {
    auto& data = mover.run.data;
    data.task_metadata["waiting_for"] = "human";
    mover.patch_task({{"task_metadata", data.task_metadata}});
    mover.progress(contracts::ProgressType::progress, "blocked",
                   data.claim && data.claim->verdict ? data.claim->verdict->summary : "the agent waits for an answer",
                   50);
}

void nothing(Mover&) {}

void answer(Mover& mover, const Event& event) {
    const auto* resume = std::get_if<ResumeAsked>(&event);
    if (!resume) return;
    auto& data = mover.run.data;
    data.prompt = resume->guidance;
    data.task_metadata.erase("waiting_for");
    mover.patch_task({{"task_metadata", data.task_metadata}});
    mover.go(Node::develop);
}

}  // namespace

const NodeDefinition kBlocked{
    Node::blocked, [](const Run&, const Timings&) -> std::optional<std::chrono::milliseconds> { return {}; },
    enter,         nothing,
    answer,        nothing};

}  // namespace codegen::workflow
