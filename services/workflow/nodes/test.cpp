// Waits for the project's tests to pass or fail.
#include <fmt/format.h>

#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

using contracts::ResultStatus;

constexpr std::string_view kOutputMark = "output: ";  // create_tester.cpp: the summary is never empty

void enter(Mover& mover) {
    mover.run.data.tests.request_id = mover.run.request_id;
    mover.run.data.tests.since = mover.context.now;
}

void request(Mover& mover) {
    const auto& run = mover.run;
    contracts::DeveloperWorkerInput input;
    input.request_id = run.request_id;
    input.task_id = run.task_id;
    input.project_id = run.data.project_id;
    input.prompt = "Run the project's tests.";
    input.timeout = std::max<std::int64_t>(1, mover.context.timings.test.count());
    input.timestamp = mover.context.now;
    mover.publish(contracts::streams::worker_input(run.data.tests.tester), json::write(input));
}

std::optional<std::int64_t> exit_code(const contracts::DeveloperWorkerOutput& output) {
    if (output.status != ResultStatus::success || !output.verdict) return {};
    const auto* code = output.verdict->data.if_contains("exit_code");
    return code && code->is_int64() ? std::optional(code->get_int64()) : std::nullopt;
}

void told(Mover& mover, bool passed, std::string output) {
    auto& tests = mover.run.data.tests;
    ++tests.runs;
    tests.passed = passed;
    tests.output = std::move(output);
    mover.progress(contracts::ProgressType::progress, "test", passed ? "the tests pass" : "the tests fail", 90);
    if (passed) return mover.end({Ending::completed, {}, {}});
    mover.go(Node::remove_tester);
}

void answer(Mover& mover, const Event& event) {
    const auto* finished = std::get_if<DeveloperFinished>(&event);
    if (!finished) return;
    const auto& output = finished->output;
    mover.run.data.tests.answer = output;
    if (const auto code = exit_code(output)) {
        std::string text = output.verdict->summary;
        if (text.starts_with(kOutputMark)) text.erase(0, kOutputMark.size());
        return told(mover, *code == 0, *code == 0 ? "" : fmt::format("exit code {}\n{}", *code, text));
    }
    // Tests that do not end, or that eat all memory, are the work's fault more likely than ours.
    if (output.status == ResultStatus::timeout || output.reason == Reason::out_of_memory)
        return told(mover, false, output.error.value_or("the tests were stopped"));
    const bool ours = output.reason == Reason::killed;
    fail_test(mover, ours ? Reason::killed : Reason::infrastructure,
              output.error.value_or("their worker ended without a result"));
}

void overdue(Mover& mover) {
    fail_test(mover, Reason::infrastructure, "their worker sent no result within the time limit");
}

}  // namespace

const NodeDefinition kTest{Node::test,
                           [](const Run&, const Timings& timings) -> std::optional<std::chrono::milliseconds> {
                               return timings.test + timings.develop_grace;
                           },
                           enter,
                           request,
                           answer,
                           overdue};

}  // namespace codegen::workflow
