#include "services/workflow/engine.hpp"

#include "services/workflow/nodes/node.hpp"
#include "shared/contracts/worker_names.hpp"

namespace codegen::workflow {
namespace {

// The request that an answer answers; null for events that are no answers.
struct AnsweredRequest {
    const std::string* operator()(const RepositoryReady& e) const { return &e.request_id; }
    const std::string* operator()(const RepositoryFailed& e) const { return &e.request_id; }
    const std::string* operator()(const CodeBaseMissing& e) const { return &e.request_id; }
    const std::string* operator()(const ProjectScaffolded& e) const { return &e.result.request_id; }
    const std::string* operator()(const WorkerCreated& e) const { return &e.response.request_id; }
    const std::string* operator()(const DeveloperFinished& e) const { return &e.output.request_id; }
    const std::string* operator()(const WorkCollected& e) const { return &e.response.request_id; }
    const std::string* operator()(const WorkerDeleted& e) const { return &e.response.request_id; }
    const std::string* operator()(const auto&) const { return nullptr; }
};

bool overdue(const Run& run, const DeadlinePassed& event, const Context& context) {
    return event.request_id == run.request_id && run.deadline && *run.deadline <= context.now;
}

// Also while the body of a blocked agent is being given back.
bool waits_for_person(const Run& run) { return run.data.question.has_value() && !run.data.outcome; }

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
    } else if (const auto* asker = std::get_if<AskerKnown>(&event)) {
        if (run.data.callback_stream) return false;
        run.data.callback_stream = asker->callback_stream;
        run.data.trigger_request_id = asker->request_id;
        if (run.data.outcome_published) answer_asker(mover);
    } else if (std::holds_alternative<CancelAsked>(event)) {
        if (run.data.outcome) return false;
        mover.end({Ending::cancelled, Reason::cancelled, "cancelled on request"});
    } else if (std::holds_alternative<ResumeAsked>(event)) {
        if (waits_for_person(run)) {
            node.answer(mover, event);
        } else {
            mover.progress(contracts::ProgressType::progress, json::name_of(run.node),
                           "resume is refused: the task does not wait for a person", 0);
            return false;
        }
    }
    return true;
}

// By the names that create_worker.cpp and create_tester.cpp give.
bool is_worker_of(const Run& run, std::string_view worker) { return contracts::task_of_worker(worker) == run.task_id; }

// A worker that was made after its run had ended, or had gone on without it: nobody else would ever remove it.
void remove_latecomer(Mover& mover, const WorkerCreated& created) {
    const auto& data = mover.run.data;
    const auto& worker = created.response.worker_id;
    if (!created.response.success || !worker || !is_worker_of(mover.run, *worker)) return;
    const bool wanted =
        (*worker == data.worker_id && data.worker_exists) || (*worker == data.tests.tester && data.tests.tester_exists);
    if (is_terminal(mover.run) || !wanted) mover.delete_worker(mover.context.new_id(), *worker);
}

// Its queue entry came after the end: the row stays as it is.
void answer_latecomer(Mover& mover, const AskerKnown& asker) {
    if (!is_terminal(mover.run) || mover.run.data.callback_stream) return;
    Run asked = mover.run;
    asked.data.callback_stream = asker.callback_stream;
    asked.data.trigger_request_id = asker.request_id;
    Mover other(asked, mover.effects, mover.context);
    answer_asker(other);
}

}  // namespace

Step step(Run run, const Event& event, const Context& context) {
    Step out{std::move(run), {}, true};
    Mover mover(out.run, out.effects, context);
    out.accepted = move(mover, event);
    if (out.accepted) return out;
    if (const auto* created = std::get_if<WorkerCreated>(&event)) remove_latecomer(mover, *created);
    if (const auto* asker = std::get_if<AskerKnown>(&event)) answer_latecomer(mover, *asker);
    return out;
}

}  // namespace codegen::workflow
