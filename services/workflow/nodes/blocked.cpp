// The agent needs a person's answer: waits for resume or cancel, for as long as that takes. Its worker stays for a
// while; then its body is given back, and only the workspace and the conversation are kept.
#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

void enter(Mover& mover) {
    auto& data = mover.run.data;
    if (data.question) return;  // back from giving up the body
    data.question = data.claim && data.claim->verdict ? data.claim->verdict->summary : "the agent waits for an answer";
    data.task_metadata["waiting_for"] = "human";
    data.task_metadata["question"] = *data.question;
    mover.patch_task({{"task_metadata", data.task_metadata}});
    mover.progress(contracts::ProgressType::progress, "blocked", *data.question, 50);
}

void nothing(Mover&) {}

void answer(Mover& mover, const Event& event) {
    if (const auto* resume = std::get_if<ResumeAsked>(&event)) {
        take_guidance(mover, resume->guidance);
        mover.go(Node::create_worker);
    }
}

void overdue(Mover& mover) {
    mover.run.data.after_park = Node::blocked;
    mover.go(Node::park);
}

}  // namespace

void take_guidance(Mover& mover, const std::string& guidance) {
    auto& data = mover.run.data;
    continue_with(mover.run, guidance);
    data.guidance.push_back(guidance);
    data.question.reset();
    data.task_metadata.erase("waiting_for");
    data.task_metadata.erase("question");
    mover.patch_task({{"task_metadata", data.task_metadata}});
}

const NodeDefinition kBlocked{Node::blocked,
                              [](const Run& run, const Timings& timings) -> std::optional<std::chrono::milliseconds> {
                                  if (run.data.workspace_kept) return {};
                                  return timings.blocked_worker;
                              },
                              enter,
                              nothing,
                              answer,
                              overdue};

}  // namespace codegen::workflow
