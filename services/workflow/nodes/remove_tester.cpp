// Removes the worker that ran the tests, then goes where their result leads: green completes the task, red gives it
// back to the developer, in the same conversation, a few times.
#include <fmt/format.h>

#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

void nothing(Mover&) {}

void request(Mover& mover) { mover.delete_worker(mover.run.request_id, mover.run.data.tests.tester); }

std::string message_of(const RunData& data) {
    return fmt::format(
        "The project's own tests fail on your commit {}. They were run in a clean worker with:\n\n    {}\n\nThis is "
        "how they ended:\n\n{}\n\nFind the cause, repair it, commit, and report the result again.",
        data.collected && data.collected->commit_sha ? *data.collected->commit_sha : "",
        data.tests.command.value_or(""), data.tests.output);
}

void decide(Mover& mover) {
    auto& data = mover.run.data;
    if (data.outcome) return mover.go(data.worker_exists ? Node::remove_worker : Node::done);
    if (!data.tests.passed) return mover.go(Node::pause);  // it did not run: tried again
    if (data.tests.returns >= mover.context.policy.test_returns)
        return mover.fail(Reason::agent_failure,
                          fmt::format("the project's tests fail, after {} attempts to repair them: {}",
                                      data.tests.returns, data.tests.output));
    ++data.tests.returns;
    continue_with(mover.run, message_of(data));
    mover.go(Node::create_worker);
}

void answer(Mover& mover, const Event& event) {
    const auto* deleted = std::get_if<WorkerDeleted>(&event);
    if (!deleted) return;
    auto& tests = mover.run.data.tests;
    if (tests.request_id) post_test_execution(mover, deleted->response.gateway);
    if (!deleted->response.success) return;  // it may still be there: the resend asks again
    tests.tester_exists = false;
    decide(mover);
}

// The manager does not answer: the truth is told without it, only the removal is still asked for.
void overdue(Mover& mover) {
    settle(mover, {});
    mover.run.deadline.reset();
}

}  // namespace

const NodeDefinition kRemoveTester{
    Node::remove_tester,
    [](const Run& run, const Timings& timings) -> std::optional<std::chrono::milliseconds> {
        return run.data.outcome ? timings.remove_worker : timings.give_back;
    },
    nothing,
    request,
    answer,
    overdue};

}  // namespace codegen::workflow
