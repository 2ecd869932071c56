#include "services/workflow/runner.hpp"

#include <fmt/format.h>

#include "services/workflow/repository.hpp"
#include "shared/async/log_context.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/trace.hpp"
#include "shared/logging/log.hpp"

namespace codegen::workflow {
namespace {

constexpr int kSaveAttempts = 8;  // another message for the same run, between our read and our write
constexpr std::chrono::minutes kPrepareLease{2};

std::unexpected<Error> too_busy(const std::string& task_id) {
    return fail(ErrorCategory::transient, "busy",
                fmt::format("run of task {}: changed by others all the time", task_id));
}

// What the project runs on every commit; blank means none.
Result<std::optional<std::string>> test_command(const contracts::Project& project) {
    const auto* command = project.config.if_contains("test_command");
    if (!command || command->is_null()) return std::nullopt;
    if (!command->is_string())
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("config.test_command of project {} is {}: expected the command as text", project.id,
                                boost::json::serialize(*command)),
                    "config.test_command");
    const std::string_view text = command->get_string();
    return text.find_first_not_of(" \t\r\n") == text.npos ? std::nullopt : std::optional(std::string(text));
}

log::ContextPtr context_of(const Run& run) { return log::make_context(run.data.traceparent, run.data.correlation_id); }

Task<bool> cancelled() {
    const auto state = co_await asio::this_coro::cancellation_state;
    co_return state.cancelled() != asio::cancellation_type::none;
}

}  // namespace

Runner::Runner(RunStore& store, clients::ApiClient& api, async::Scope& scope, Scaffolding& scaffolding,
               RunnerOptions options)
    : store_(store), api_(api), scope_(scope), scaffolding_(scaffolding), options_(std::move(options)) {}

Context Runner::context() const { return {options_.clock(), new_uuid, options_.timings, options_.policy}; }

Task<Result<bool>> Runner::start(contracts::TaskRecord task, std::string trigger_request_id, std::string correlation_id,
                                 std::optional<std::string> callback_stream, Event first) {
    Run run;
    run.task_id = task.id;
    run.data.project_id = task.project_id.value_or("");
    run.data.user_id = task.user_id.value_or(0);
    run.data.callback_stream = callback_stream ? std::move(callback_stream) : task.callback_stream;
    run.data.trigger_request_id = std::move(trigger_request_id);
    run.data.correlation_id = std::move(correlation_id);
    run.data.traceparent = log::context() ? log::context()->traceparent : "";
    if (run.data.traceparent.empty()) run.data.traceparent = new_traceparent();
    run.data.prompt = task.spec.value_or("");
    run.data.task_metadata = task.task_metadata;
    run.data.started_at = options_.clock();
    const auto surroundings = context();
    Step begun = step(std::move(run), first, surroundings);
    auto on_behalf = context_of(begun.run);
    auto insertion = store_.insert(begun, surroundings.now);
    auto inserted = co_await async::within(on_behalf, std::move(insertion));
    if (!inserted) co_return std::unexpected(inserted.error());
    if (*inserted) {
        const log::Within within(std::move(on_behalf));
        log::info("run started", {{"task_id", task.id}});
        carry_out(begun);
    }
    co_return *inserted;
}

Task<Result<void>> Runner::answer(Seen seen, MakeEvent make) {
    for (int attempt = 0; attempt < kSaveAttempts; ++attempt) {
        auto found = co_await store_.by_request(seen.request_id);
        if (!found) co_return std::unexpected(found.error());
        // A worker that was made too late names itself; its run's fence has moved on.
        const bool fenced = found->has_value();
        if (!fenced && seen.worker_id) found = co_await store_.by_worker(*seen.worker_id);
        if (!found) co_return std::unexpected(found.error());
        if (!*found) co_return co_await store_.record(std::move(seen), false, {}, {}, options_.clock());
        seen.task_id = (*found)->task_id;
        auto event = make(**found);
        if (!event) co_return std::unexpected(event.error());
        Step next = step(**found, *event, context());
        if (!next.accepted)
            co_return co_await store_.record(std::move(seen), false, next.run.task_id, next.effects, options_.clock());
        auto saved = co_await save(**found, std::move(next), seen);
        if (!saved) co_return std::unexpected(saved.error());
        if (*saved) co_return Result<void>();
    }
    co_return too_busy(seen.task_id.value_or(""));
}

Task<Result<bool>> Runner::ask(Seen seen, std::string task_id, Event event) {
    seen.task_id = task_id;
    for (int attempt = 0; attempt < kSaveAttempts; ++attempt) {
        auto found = co_await store_.by_task(task_id);
        if (!found) co_return std::unexpected(found.error());
        if (!*found) co_return false;
        Step next = step(**found, event, context());
        if (!next.accepted) {
            auto noted = co_await store_.record(std::move(seen), false, task_id, next.effects, options_.clock());
            if (!noted) co_return std::unexpected(noted.error());
            co_return true;
        }
        auto saved = co_await save(**found, std::move(next), seen);
        if (!saved) co_return std::unexpected(saved.error());
        if (*saved) co_return true;
    }
    co_return too_busy(task_id);
}

Task<Result<void>> Runner::remind(Run run, Event event) {
    Step next = step(run, event, context());
    if (!next.accepted) co_return Result<void>();
    // A conflict means that it moved on by itself, or that another copy of this role reminded it.
    auto saved = co_await save(std::move(run), std::move(next), {});
    if (!saved) co_return std::unexpected(saved.error());
    co_return Result<void>();
}

Task<Result<bool>> Runner::save(Run before, Step next, std::optional<Seen> seen) {
    // On behalf of whoever asked for the run, also when a timer moves it.
    auto on_behalf = context_of(next.run);
    auto update = store_.update(before.request_id, before.revision, next, options_.clock(), std::move(seen));
    auto saved = co_await async::within(on_behalf, std::move(update));
    if (!saved || !*saved) co_return saved;
    const log::Within within(std::move(on_behalf));
    if (before.node != next.run.node)
        log::info("run moved", {{"task_id", next.run.task_id},
                                {"from", std::string(json::name_of(before.node))},
                                {"to", std::string(json::name_of(next.run.node))}});
    carry_out(next);
    co_return true;
}

void Runner::carry_out(const Step& done) {
    for (const auto& effect : done.effects) {
        const auto* prepare_effect = std::get_if<PrepareRepository>(&effect);
        if (!prepare_effect || !preparing_.insert(prepare_effect->request_id).second) continue;
        auto work = prepare(done.run.task_id, done.run.data.project_id, *prepare_effect);
        scope_.spawn("prepare repository", async::within(context_of(done.run), std::move(work)));
    }
}

// Tries until it worked, the error is final, or the run no longer waits for it (its deadline, a cancel).
Task<void> Runner::prepare(std::string task_id, std::string project_id, PrepareRepository asked) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto fence = asked.request_id;
    const auto begun = std::chrono::steady_clock::now();
    const auto now = options_.clock();
    auto leased = co_await store_.lease(task_id, fence, options_.instance, now, now + kPrepareLease);
    std::chrono::milliseconds wait{200};
    bool wanted = leased && *leased;
    while (wanted) {
        const bool patient = std::chrono::steady_clock::now() - begun < scaffolding_.patience();
        auto ready = co_await try_prepare(project_id, asked, patient);
        const bool stopping = co_await cancelled();
        if (stopping) break;
        if (ready || ready.error().category == ErrorCategory::permanent) {
            Event event = ready ? std::move(*ready) : Event(RepositoryFailed{fence, ready.error().message});
            auto moved = co_await internal_answer(fence, std::move(event));
            if (!moved) log::error("run cannot be moved", {{"task_id", task_id}, {"error", moved.error().message}});
            break;
        }
        log::warning("repository not prepared, will be tried again",
                     {{"task_id", task_id}, {"error", ready.error().message}});
        co_await async::sleep_for(wait);
        wait = std::min(wait * 2, std::chrono::milliseconds(5000));
        auto run = co_await store_.by_request(fence);
        const bool stopped = co_await cancelled();
        wanted = !stopped && run && run->has_value();
    }
    preparing_.erase(fence);
}

Task<Result<bool>> Runner::is_to_be_scaffolded(contracts::Project project, bool patient) {
    std::error_code ignored;
    if (std::filesystem::exists(options_.repositories / (project.id + ".git") / "HEAD", ignored)) co_return false;
    auto served = co_await scaffolding_.is_served();
    if (!served) co_return std::unexpected(served.error());
    if (*served || project.status != contracts::ProjectStatus::scaffolding) co_return *served;
    if (patient)
        co_return fail(ErrorCategory::transient, "no_role",
                       fmt::format("project {} waits for its first code base, and no scaffolder runs", project.id));
    log::warning("no scaffolder runs: the project begins without a template", {{"project_id", project.id}});
    co_return false;
}

Task<Result<Event>> Runner::try_prepare(std::string project_id, PrepareRepository asked, bool patient) {
    const auto fence = asked.request_id;
    auto project = co_await api_.get<contracts::Project>("/api/projects/" + project_id);
    if (!project) co_return std::unexpected(in_context(project.error(), "project " + project_id));
    auto tests = test_command(*project);
    if (!tests) co_return std::unexpected(tests.error());
    const auto ours = std::filesystem::absolute(options_.repositories / (project_id + ".git")).string();
    if (project->repository_url && *project->repository_url != ours)
        co_return RepositoryReady{fence, project->name, *project->repository_url, std::move(*tests)};
    if (!project->repository_url && asked.scaffolded)
        co_return fail(ErrorCategory::permanent, "no_repository",
                       fmt::format("project {} has no repository_url though it was scaffolded", project_id));
    if (!project->repository_url) {
        auto wanted = co_await is_to_be_scaffolded(*project, patient);
        if (!wanted) co_return std::unexpected(wanted.error());
        if (*wanted) co_return CodeBaseMissing{fence, project->name, project->modules};
    }
    auto made = co_await make_repository(options_.repositories, project_id, project->name);
    if (!made) co_return std::unexpected(made.error());
    if (!project->repository_url) {
        auto patched =
            co_await api_.call("PATCH", "/api/projects/" + project_id,
                               boost::json::serialize(boost::json::object{{"repository_url", made->string()}}));
        if (!patched) co_return std::unexpected(in_context(patched.error(), "project " + project_id));
    }
    co_return RepositoryReady{fence, project->name, made->string(), std::move(*tests)};
}

Task<Result<void>> Runner::internal_answer(std::string fence, Event event) {
    for (int attempt = 0; attempt < kSaveAttempts; ++attempt) {
        auto run = co_await store_.by_request(fence);
        if (!run) co_return std::unexpected(run.error());
        if (!*run) co_return Result<void>();
        Step next = step(**run, event, context());
        if (!next.accepted) co_return Result<void>();
        auto saved = co_await save(**run, std::move(next), {});
        if (!saved) co_return std::unexpected(saved.error());
        if (*saved) co_return Result<void>();
    }
    co_return too_busy(fence);
}

}  // namespace codegen::workflow
