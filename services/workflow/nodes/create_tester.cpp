// Asks for a clean worker whose workspace is the collected commit; it runs the project's own tests.
#include <fmt/format.h>

#include "services/workflow/judgement.hpp"
#include "services/workflow/nodes/node.hpp"
#include "shared/contracts/worker_names.hpp"

namespace codegen::workflow {
namespace {

// Runs the command ($1), shows its output live, and reports its exit code with the end of the output. Only what every
// image has: a POSIX shell, and bash for the command itself where there is one.
constexpr std::string_view kScript = R"(shell=sh; command -v bash >/dev/null 2>&1 && shell=bash
code=$(mktemp) && out=$(mktemp) || exit 70
{ "$shell" -c "$1" </dev/null 2>&1; echo $? >"$code"; } | tee "$out"
end=$(tail -c 16384 "$out" | LC_ALL=C tr '\200-\377' '?' | LC_ALL=C tr -d '\000-\010\013-\037\177')
exec orchestrator result --status success --summary="output: $end" --data "{\"exit_code\":$(cat "$code")}" >/dev/null
)";

contracts::WorkerConfig config_of(const Run& run) {
    contracts::WorkerConfig config;
    config.name = run.data.tests.tester;
    config.worker_type = contracts::WorkerType::developer;
    config.agent_type = contracts::AgentType::custom;
    config.allowed_commands = {"result"};
    config.capabilities = {contracts::Capability::git};
    config.memory_limit = text_setting(run, "memory_limit");
    config.cpu_limit = number_setting(run, "cpu_limit");
    config.image = text_setting(run, "image");
    config.pool = false;
    config.command = {"sh", "-c", std::string(kScript), "tests", run.data.tests.command.value_or("")};
    return config;
}

void enter(Mover& mover) {
    auto& tests = mover.run.data.tests;
    tests.tester = contracts::tester_name(mover.run.task_id, ++tests.testers);
    tests.tester_exists = true;
    tests.answer.reset();
    tests.passed.reset();
    mover.progress(contracts::ProgressType::progress, "test", "running the project's tests", 85);
}

void request(Mover& mover) {
    auto command = create_command(mover, config_of(mover.run));
    if (mover.run.data.collected) command.workspace->base_ref = mover.run.data.collected->commit_sha.value_or("main");
    mover.command(json::write(command));
}

void answer(Mover& mover, const Event& event) {
    const auto* created = std::get_if<WorkerCreated>(&event);
    if (!created) return;
    if (created->response.success) return mover.go(Node::test);
    mover.run.data.tests.tester_exists = false;
    fail_test(mover, reason_of_refusal(created->response.error), created->response.error.value_or("refused"));
}

void overdue(Mover& mover) {
    fail_test(mover, Reason::infrastructure, "no worker for the tests was ready within the time limit");
}

}  // namespace

void fail_test(Mover& mover, Reason reason, std::string error) {
    Outcome failure{Ending::failed, reason, "run the project's tests: " + std::move(error)};
    if (!try_again(mover, failure, Node::create_tester)) return mover.end(std::move(failure));
    mover.go(mover.run.data.tests.tester_exists ? Node::remove_tester : Node::pause);
}

const NodeDefinition kCreateTester{Node::create_tester,
                                   [](const Run&, const Timings& timings) -> std::optional<std::chrono::milliseconds> {
                                       return timings.create_worker;
                                   },
                                   enter,
                                   request,
                                   answer,
                                   overdue};

}  // namespace codegen::workflow
