#include "services/workflow/intake.hpp"

#include <fmt/format.h>

#include "shared/clients/api/pending.hpp"
#include "shared/logging/log.hpp"

namespace codegen::workflow {
namespace {

Seen seen_of(const redis::Delivery& delivery, const std::string& request_id) {
    return {delivery.entry.stream, delivery.entry.id, delivery.data, request_id, {}, {}};
}

std::unexpected<Error> wrong(std::string path, std::string message) {
    return std::unexpected(invalid({{std::move(path), std::move(message)}}));
}

template <class Response>
Result<Response> read_as(const std::string& text) {
    auto parsed = json::parse<Response>(text);
    if (!parsed) return std::unexpected(invalid(parsed.error()));
    return std::move(*parsed);
}

// Create, collect and delete are answered on one stream without a discriminator: what the run waits for decides.
Result<Event> response_event(const Run& run, const std::string& text) {
    switch (run.node) {
        case Node::collect: {
            auto response = read_as<contracts::CollectWorkerResponse>(text);
            if (!response) return std::unexpected(response.error());
            return WorkCollected{std::move(*response)};
        }
        case Node::park:
        case Node::remove_tester:
        case Node::remove_worker: {
            auto response = read_as<contracts::DeleteWorkerResponse>(text);
            if (!response) return std::unexpected(response.error());
            return WorkerDeleted{std::move(*response)};
        }
        default: {
            auto response = read_as<contracts::CreateWorkerResponse>(text);
            if (!response) return std::unexpected(response.error());
            return WorkerCreated{std::move(*response)};
        }
    }
}

struct Forget {
    ~Forget() { from.erase(task_id); }
    std::set<std::string>& from;
    std::string task_id;
};

}  // namespace

Task<Result<contracts::TaskRecord>> Intake::task_of(std::string task_id, std::int64_t user_id) {
    auto task = co_await api_.get<contracts::TaskRecord>("/api/tasks/" + task_id);
    if (!task) co_return std::unexpected(in_context(task.error(), "task " + task_id));
    auto allowed = co_await may_command(task_id, task->user_id.value_or(0), user_id);
    if (!allowed) co_return std::unexpected(allowed.error());
    co_return std::move(*task);
}

// A task is its owner's and the admins'.
Task<Result<void>> Intake::may_command(std::string task_id, std::int64_t owner, std::int64_t user_id) {
    if (owner == 0 || owner == user_id) co_return Result<void>();
    auto user = co_await api_.get<contracts::User>(fmt::format("/api/users/{}", user_id));
    if (user && user->is_admin) co_return Result<void>();
    if (!user && user.error().code != "not_found")
        co_return std::unexpected(in_context(user.error(), fmt::format("user {}", user_id)));
    co_return fail(ErrorCategory::permanent, "forbidden",
                   fmt::format("user_id: task {} belongs to user {}, not to user {}", task_id, owner, user_id),
                   "user_id");
}

Task<Result<void>> Intake::engineering(contracts::EngineeringMessage message, redis::Delivery delivery) {
    auto existing = co_await store_.by_task(message.task_id);
    if (!existing) co_return std::unexpected(existing.error());
    if (*existing) co_return co_await repeated(std::move(message), std::move(delivery), **existing);
    auto task = co_await task_of(message.task_id, message.user_id);
    if (!task) co_return std::unexpected(task.error());
    if (task->type != contracts::TaskType::engineering)
        co_return wrong("task_id", fmt::format("task {} is a {} task, not an engineering task", task->id,
                                               json::name_of(task->type)));
    if (task->project_id != message.project_id)
        co_return wrong("project_id", fmt::format("task {} belongs to project {}, not to project {}", task->id,
                                                  task->project_id.value_or("(none)"), message.project_id));
    if (contracts::is_final(task->status)) co_return Result<void>();
    auto started = co_await runner_.start(std::move(*task), message.request_id, message.correlation_id,
                                          message.callback_stream, Begin{});
    if (!started) co_return std::unexpected(started.error());
    if (*started) co_return Result<void>();
    existing = co_await store_.by_task(message.task_id);  // somebody was faster: the sweeper, or a cancel
    if (!existing) co_return std::unexpected(existing.error());
    if (!*existing) co_return Result<void>();
    co_return co_await repeated(std::move(message), std::move(delivery), **existing);
}

// The run began without this message (sweeper, cancel), or the message came twice. Who asked hears the result, once.
Task<Result<void>> Intake::repeated(contracts::EngineeringMessage message, redis::Delivery delivery, Run run) {
    if (!message.callback_stream || run.data.callback_stream) co_return Result<void>();
    if (run.data.user_id != 0 && run.data.user_id != message.user_id)
        co_return wrong("user_id", fmt::format("task {} belongs to user {}, not to user {}", run.task_id,
                                               run.data.user_id, message.user_id));
    // Two copies of the message at once would both find that nobody was told yet.
    if (!telling_.insert(run.task_id).second)
        co_return fail(ErrorCategory::transient, "busy",
                       fmt::format("task {}: the same message is being handled", run.task_id));
    const Forget done{telling_, run.task_id};
    auto told = co_await store_.has_seen(delivery.entry.stream, run.task_id);
    if (!told) co_return std::unexpected(told.error());
    if (*told) co_return Result<void>();
    auto asked = co_await runner_.ask(seen_of(delivery, message.request_id), run.task_id,
                                      AskerKnown{message.request_id, *message.callback_stream});
    if (!asked) co_return std::unexpected(asked.error());
    co_return Result<void>();
}

Task<Result<void>> Intake::worker_response(redis::Delivery delivery) {
    // What every response has; the rest is read once it is known what was asked.
    auto least = read_as<contracts::CreateWorkerResponse>(delivery.data);
    if (!least) co_return std::unexpected(least.error());
    Seen seen = seen_of(delivery, least->request_id);
    seen.worker_id = least->worker_id;
    co_return co_await runner_.answer(std::move(seen),
                                      [text = delivery.data](const Run& run) { return response_event(run, text); });
}

Task<Result<void>> Intake::developer_output(contracts::DeveloperWorkerOutput output, redis::Delivery delivery) {
    Seen seen = seen_of(delivery, output.request_id);
    co_return co_await runner_.answer(std::move(seen), [output](const Run& run) -> Result<Event> {
        if (run.task_id != output.task_id)
            return wrong("task_id", fmt::format("request {} belongs to task {}, not to task {}", output.request_id,
                                                run.task_id, output.task_id));
        return DeveloperFinished{output};
    });
}

// Of a run's own request; those of others (whoever made the project) belong to no run and change none.
Task<Result<void>> Intake::scaffolded(contracts::ScaffolderResult result, redis::Delivery delivery) {
    Seen seen = seen_of(delivery, result.request_id);
    co_return co_await runner_.answer(std::move(seen), [result](const Run& run) -> Result<Event> {
        if (run.data.project_id != result.project_id)
            return wrong("project_id", fmt::format("request {} is about project {}, not about project {}",
                                                   result.request_id, run.data.project_id, result.project_id));
        return ProjectScaffolded{result};
    });
}

// It is the API's until it is obeyed, or never will be.
Task<Result<void>> Intake::command(contracts::WorkflowCommand command, redis::Delivery delivery) {
    const auto id = command.request_id;
    auto done = co_await obey(std::move(command), seen_of(delivery, id));
    if (!done && done.error().category != ErrorCategory::permanent) co_return done;
    auto forgotten = co_await clients::forget_pending(&api_, clients::kPendingCommands, id);
    if (!forgotten)
        log::warning("a command stays with the API", {{"request_id", id}, {"error", forgotten.error().message}});
    co_return done;
}

Task<Result<void>> Intake::forgotten_commands(Timestamp before) {
    auto commands = co_await clients::pending<contracts::WorkflowCommand>(&api_, clients::kPendingCommands, before);
    if (!commands) co_return std::unexpected(commands.error());
    for (auto& each : *commands) {
        log::warning("a command that its queue lost is taken up",
                     {{"task_id", each.task_id}, {"command", std::string(json::name_of(each.command))}});
        redis::Delivery delivery;
        delivery.entry.stream = contracts::streams::kWorkflowCommands;
        delivery.entry.id = "api:" + each.request_id;
        delivery.data = json::write(each);
        auto done = co_await command(std::move(each), std::move(delivery));
        if (!done && done.error().category != ErrorCategory::permanent) co_return done;
        if (!done) log::warning("it cannot be obeyed", {{"error", done.error().message}});
    }
    co_return Result<void>();
}

Task<Result<void>> Intake::obey(contracts::WorkflowCommand command, Seen seen) {
    const bool resume = command.command == contracts::WorkflowCommandKind::resume;
    if (resume && command.guidance.value_or("").empty())
        co_return wrong("guidance", "required for resume: what to tell the agent");
    Event event = resume ? Event(ResumeAsked{*command.guidance}) : Event(CancelAsked{});
    // What came both through the queue and from the API is one command.
    auto known = co_await store_.has_seen(seen.stream, command.task_id, command.request_id);
    if (!known) co_return std::unexpected(known.error());
    if (*known) co_return Result<void>();
    // A run may begin between our looks.
    for (int look = 0; look < 2; ++look) {
        auto run = co_await store_.by_task(command.task_id);
        if (!run) co_return std::unexpected(run.error());
        if (*run) {
            auto allowed = co_await may_command(command.task_id, (*run)->data.user_id, command.user_id);
            if (!allowed) co_return std::unexpected(allowed.error());
            auto asked = co_await runner_.ask(seen, command.task_id, event);
            if (!asked) co_return std::unexpected(asked.error());
            if (*asked) co_return Result<void>();
        }
        auto handled = co_await without_run(command, seen);
        if (!handled) co_return std::unexpected(handled.error());
        if (*handled) co_return Result<void>();
    }
    co_return fail(ErrorCategory::transient, "busy",
                   fmt::format("task {}: its run is just beginning", command.task_id));
}

Task<Result<bool>> Intake::without_run(contracts::WorkflowCommand command, Seen seen) {
    auto task = co_await task_of(command.task_id, command.user_id);
    if (!task) co_return std::unexpected(task.error());
    std::vector<Effect> effects;
    if (!contracts::is_final(task->status) && task->type == contracts::TaskType::engineering) {
        if (command.command == contracts::WorkflowCommandKind::cancel)
            co_return co_await runner_.start(std::move(*task), command.request_id, command.correlation_id, {},
                                             CancelAsked{});
        contracts::ProgressEvent note;
        note.type = contracts::ProgressType::progress;
        note.request_id = command.request_id;
        note.task_id = task->id;
        note.message = "resume is refused: the task does not wait for a person";
        effects.push_back(Publish{contracts::streams::task_progress(task->id), json::write(note)});
    }
    const auto id = task->id;
    auto recorded = co_await store_.record(std::move(seen), false, id, std::move(effects), clock_());
    if (!recorded) co_return std::unexpected(recorded.error());
    co_return true;
}

}  // namespace codegen::workflow
