// Makes sure that the project has a repository.
#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

void enter(Mover& mover) {
    if (mover.run.data.scaffolded) return;  // back from there
    mover.progress(contracts::ProgressType::progress, "prepare", "preparing the repository", 5);
}

void request(Mover& mover) {
    mover.effects.push_back(PrepareRepository{mover.run.request_id, mover.run.data.scaffolded});
}

void answer(Mover& mover, const Event& event) {
    if (const auto* ready = std::get_if<RepositoryReady>(&event)) {
        mover.run.data.project_name = ready->project_name;
        mover.run.data.repository_url = ready->repository_url;
        mover.run.data.tests.command = ready->test_command;
        mover.go(Node::create_worker);
    } else if (const auto* missing = std::get_if<CodeBaseMissing>(&event)) {
        mover.run.data.project_name = missing->project_name;
        mover.run.data.modules = missing->modules;
        mover.go(Node::scaffold);
    } else if (const auto* failed = std::get_if<RepositoryFailed>(&event)) {
        mover.fail(Reason::infrastructure, "prepare the repository: " + failed->error);
    }
}

void overdue(Mover& mover) { mover.fail(Reason::infrastructure, "the repository could not be prepared in time"); }

}  // namespace

const NodeDefinition kPrepare{
    Node::prepare,
    [](const Run&, const Timings& timings) -> std::optional<std::chrono::milliseconds> { return timings.prepare; },
    enter,
    request,
    answer,
    overdue};

}  // namespace codegen::workflow
