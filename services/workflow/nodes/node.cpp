#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {

const NodeDefinition& definition(Node node) {
    switch (node) {
        case Node::prepare:
            return kPrepare;
        case Node::scaffold:
            return kScaffold;
        case Node::create_worker:
            return kCreateWorker;
        case Node::develop:
            return kDevelop;
        case Node::blocked:
            return kBlocked;
        case Node::collect:
            return kCollect;
        case Node::park:
            return kPark;
        case Node::create_tester:
            return kCreateTester;
        case Node::test:
            return kTest;
        case Node::remove_tester:
            return kRemoveTester;
        case Node::pause:
            return kPause;
        case Node::remove_worker:
            return kRemoveWorker;
        case Node::done:
            break;
    }
    return kDone;
}

void Mover::go(Node next) {
    const auto& entered = definition(next);
    run.node = next;
    run.request_id = context.new_id();
    const std::string fence = run.request_id;
    const auto limit = entered.limit(run, context.timings);
    run.deadline = limit ? std::optional(context.now + *limit) : std::nullopt;
    const bool asks = next != Node::done && next != Node::blocked && next != Node::pause;
    run.resend_at = asks ? std::optional(context.now + context.timings.resend) : std::nullopt;
    entered.enter(*this);
    if (run.request_id == fence) entered.request(*this);  // else entering ended the run
}

void Mover::end(Outcome outcome) {
    run.data.outcome = std::move(outcome);
    go(run.data.tests.tester_exists ? Node::remove_tester : run.data.worker_exists ? Node::remove_worker : Node::done);
}

void Mover::delete_worker(std::string request_id, std::string worker_id, bool keep_workspace) {
    contracts::DeleteWorkerCommand removal;
    removal.request_id = std::move(request_id);
    removal.correlation_id = run.data.correlation_id;
    removal.timestamp = context.now;
    removal.worker_id = std::move(worker_id);
    if (keep_workspace) removal.keep_workspace = true;
    command(json::write(removal));
}

void Mover::patch_task(boost::json::object fields) {
    effects.push_back(CallApi{"PATCH", "/api/tasks/" + run.task_id, boost::json::serialize(fields)});
}

void Mover::progress(contracts::ProgressType type, std::string_view current_step, std::string message, int percent,
                     std::optional<std::string> error) {
    contracts::ProgressEvent event;
    event.type = type;
    event.request_id = run.data.trigger_request_id;
    event.task_id = run.task_id;
    event.timestamp = context.now;
    event.message = std::move(message);
    event.progress_pct = percent;
    event.current_step = std::string(current_step);
    event.error = std::move(error);
    publish(contracts::streams::task_progress(run.task_id), json::write(event));
}

std::optional<std::string> text_setting(const Run& run, std::string_view name) {
    const auto* value = run.data.task_metadata.if_contains(name);
    if (!value || value->is_null()) return {};
    if (value->is_string()) return std::string(value->get_string());
    return boost::json::serialize(*value);
}

std::optional<double> number_setting(const Run& run, std::string_view name) {
    const auto* value = run.data.task_metadata.if_contains(name);
    if (!value) return {};
    boost::json::error_code not_a_number;
    const auto number = value->to_number<double>(not_a_number);
    return !not_a_number && number > 0 ? std::optional(number) : std::nullopt;
}

std::optional<double> budget_usd(const Run& run) { return number_setting(run, "budget_usd"); }

contracts::CreateWorkerCommand create_command(const Mover& mover, contracts::WorkerConfig config) {
    const auto& run = mover.run;
    contracts::CreateWorkerCommand command;
    command.request_id = run.request_id;
    command.correlation_id = run.data.correlation_id;
    command.timestamp = mover.context.now;
    command.config = std::move(config);
    command.context = {{"task_id", run.task_id}, {"project_id", run.data.project_id}};
    if (run.data.user_id != 0) command.context["user_id"] = std::to_string(run.data.user_id);
    contracts::WorkspaceSpec workspace;
    workspace.repo_url = run.data.repository_url.value_or("");
    workspace.branch = branch_of(run);
    command.workspace = workspace;
    return command;
}

int timeout_seconds(const Run& run) {
    const auto* value = run.data.task_metadata.if_contains("timeout");
    if (!value) return 1800;
    boost::json::error_code not_a_number;
    const auto seconds = value->to_number<int>(not_a_number);
    return !not_a_number && seconds > 0 ? seconds : 1800;
}

}  // namespace codegen::workflow
