#include "services/workflow/engine.hpp"

#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

// The request that an answer answers; null for events that are no answers.
struct AnsweredRequest {
    const std::string* operator()(const RepositoryReady& e) const { return &e.request_id; }
    const std::string* operator()(const RepositoryFailed& e) const { return &e.request_id; }
    const std::string* operator()(const WorkerCreated& e) const { return &e.response.request_id; }
    const std::string* operator()(const DeveloperFinished& e) const { return &e.output.request_id; }
    const std::string* operator()(const WorkCollected& e) const { return &e.response.request_id; }
    const std::string* operator()(const WorkerDeleted& e) const { return &e.response.request_id; }
    const std::string* operator()(const auto&) const { return nullptr; }
};

bool overdue(const Run& run, const DeadlinePassed& event, const Context& context) {
    return event.request_id == run.request_id && run.deadline && *run.deadline <= context.now;
}

void begin(Mover& mover) {
    mover.run.data.started_at = mover.context.now;
    mover.patch_task({{"status", "running"}, {"started_at", format_timestamp(mover.context.now)}});
    mover.progress(contracts::ProgressType::started, "prepare", "started", 0);
    mover.go(Node::prepare);
}

// Moves the run, or returns false when the event has no place here.
bool move(Mover& mover, const Event& event) {
    auto& run = mover.run;
    if (is_terminal(run)) return false;
    const auto& node = definition(run.node);
    if (std::holds_alternative<Begin>(event)) {
        if (!run.request_id.empty()) return false;
        begin(mover);
    } else if (const auto* fence = std::visit(AnsweredRequest{}, event)) {
        if (*fence != run.request_id) return false;
        node.answer(mover, event);
    } else if (const auto* deadline = std::get_if<DeadlinePassed>(&event)) {
        if (!overdue(run, *deadline, mover.context)) return false;
        node.overdue(mover);
    } else if (std::holds_alternative<ResendDue>(event)) {
        if (!run.resend_at) return false;
        run.resend_at = mover.context.now + mover.context.timings.resend;
        node.request(mover);
    } else if (std::holds_alternative<CancelAsked>(event)) {
        if (run.data.outcome) return false;
        mover.end({Ending::cancelled, Reason::cancelled, "cancelled on request"});
    } else if (std::holds_alternative<ResumeAsked>(event)) {
        if (run.node == Node::blocked) {
            node.answer(mover, event);
        } else {
            mover.progress(contracts::ProgressType::progress, json::name_of(run.node),
                           "resume is refused: the task does not wait for a person", 0);
            return false;
        }
    }
    return true;
}

// A create that was answered after its run had ended: nobody else would remove that worker.
void remove_latecomer(Mover& mover, const Event& event) {
    const auto* created = std::get_if<WorkerCreated>(&event);
    if (!created || !is_terminal(mover.run) || !created->response.success) return;
    if (created->response.worker_id != mover.run.data.worker_id) return;
    contracts::DeleteWorkerCommand command;
    command.request_id = mover.context.new_id();
    command.correlation_id = mover.run.data.correlation_id;
    command.timestamp = mover.context.now;
    command.worker_id = mover.run.data.worker_id;
    mover.command(json::write(command));
}

}  // namespace

Step step(Run run, const Event& event, const Context& context) {
    Step out{std::move(run), {}, true};
    Mover mover(out.run, out.effects, context);
    out.accepted = move(mover, event);
    if (!out.accepted) remove_latecomer(mover, event);
    return out;
}

}  // namespace codegen::workflow
