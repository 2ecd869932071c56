// Waits for the first code base of the project. The run asks for it itself, so that a lost message of whoever made the
// project costs nothing; the scaffolder answers at once when it is there already.
#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

void enter(Mover& mover) {
    mover.progress(contracts::ProgressType::progress, "scaffold", "waiting for the project's first code base", 5);
}

void request(Mover& mover) {
    const auto& run = mover.run;
    contracts::ScaffolderMessage message;
    message.request_id = run.request_id;
    message.correlation_id = run.data.correlation_id;
    message.timestamp = mover.context.now;
    message.project_id = run.data.project_id;
    message.project_name = run.data.project_name.value_or("");
    message.modules = run.data.modules;
    mover.publish(std::string(contracts::streams::kScaffolder), json::write(message));
}

void answer(Mover& mover, const Event& event) {
    const auto* scaffolded = std::get_if<ProjectScaffolded>(&event);
    if (!scaffolded) return;
    const auto& result = scaffolded->result;
    if (result.status != contracts::ResultStatus::success)
        return mover.fail(Reason::infrastructure,
                          "scaffold the project: " + result.error.value_or("failed without a reason"));
    mover.run.data.scaffolded = true;
    mover.go(Node::prepare);
}

void overdue(Mover& mover) {
    mover.fail(Reason::infrastructure,
               "the project's first code base was not made within the time limit; is a scaffolder running?");
}

}  // namespace

const NodeDefinition kScaffold{
    Node::scaffold,
    [](const Run&, const Timings& timings) -> std::optional<std::chrono::milliseconds> { return timings.scaffold; },
    enter,
    request,
    answer,
    overdue};

}  // namespace codegen::workflow
