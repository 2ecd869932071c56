#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {

const NodeDefinition& definition(Node node) {
    switch (node) {
        case Node::prepare:
            return kPrepare;
        case Node::create_worker:
            return kCreateWorker;
        case Node::develop:
            return kDevelop;
        case Node::blocked:
            return kBlocked;
        case Node::collect:
            return kCollect;
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
    run.resend_at = next == Node::done || next == Node::blocked ? std::nullopt
                                                                : std::optional(context.now + context.timings.resend);
    entered.enter(*this);
    if (run.request_id == fence) entered.request(*this);  // else entering ended the run
}

void Mover::end(Outcome outcome) {
    run.data.outcome = std::move(outcome);
    go(run.data.worker_exists ? Node::remove_worker : Node::done);
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

int timeout_seconds(const Run& run) {
    const auto* value = run.data.task_metadata.if_contains("timeout");
    if (!value) return 1800;
    boost::json::error_code not_a_number;
    const auto seconds = value->to_number<int>(not_a_number);
    return !not_a_number && seconds > 0 ? seconds : 1800;
}

}  // namespace codegen::workflow
