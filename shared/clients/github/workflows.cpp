// https://docs.github.com/en/rest/actions/workflows, https://docs.github.com/en/rest/actions/workflow-runs
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "shared/base/ids.hpp"
#include "shared/clients/github/places.hpp"
#include "shared/clients/github/session.hpp"
#include "shared/clients/github/workflow_choice.hpp"
#include "shared/http/url.hpp"

namespace codegen::clients {
namespace {

using github::Dispatch;
using github::WorkflowRun;
using SessionPtr = std::shared_ptr<github::Session>;
using std::chrono::steady_clock;

constexpr std::string_view kRunDetails = "return_run_details";

Result<std::string> workflow_path(const github::Session& session, std::string_view repository,
                                  std::string_view workflow) {
    auto path = session.repository_path(repository);
    if (!path) return path;
    if (!github::is_plain_segment(workflow))
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("\"{}\" is not the file of a workflow, expected e.g. deploy.yml", workflow));
    return fmt::format("{}/actions/workflows/{}", *path, workflow);
}

Result<std::string> run_path(const github::Session& session, std::string_view repository, std::int64_t id) {
    auto path = session.repository_path(repository);
    if (path) *path += fmt::format("/actions/runs/{}", id);
    return path;
}

// The newest hundred that were dispatched.
Task<Result<std::vector<WorkflowRun>>> dispatched_runs(SessionPtr session, std::string path) {
    auto response = co_await session->call(
        {.operation = "list workflow runs", .target = path + "/runs?event=workflow_dispatch&per_page=100"});
    if (!response) co_return std::unexpected(std::move(response.error()));
    auto page = json::parse<github::RunsPage>(response->body);
    if (!page) co_return std::unexpected(in_context(invalid(page.error()), "GitHub: list workflow runs: answer"));
    co_return std::move(page->workflow_runs);
}

Task<Result<WorkflowRun>> get_run(SessionPtr session, std::string repository, std::int64_t id) {
    auto path = run_path(*session, repository, id);
    if (!path) co_return std::unexpected(std::move(path.error()));
    auto run = co_await session->get<WorkflowRun>({.operation = "get workflow run", .target = std::move(*path)});
    if (!run) co_return std::unexpected(in_context(std::move(run.error()), fmt::format("{}: run {}", repository, id)));
    co_return run;
}

// The run's id where GitHub says it; nullopt: it was dispatched, no more is known.
Task<Result<std::optional<std::int64_t>>> send_dispatch(SessionPtr session, std::string path,
                                                        boost::json::object body) {
    for (const bool asks : {true, false}) {
        if (asks)
            body[kRunDetails] = true;
        else
            body.erase(kRunDetails);
        auto sent = co_await session->call({.operation = "dispatch workflow",
                                            .method = "POST",
                                            .target = path + "/dispatches",
                                            .body = boost::json::serialize(body)});
        // A server of before 2026 may not know the question.
        if (!sent && asks && sent.error().code == "invalid" && sent.error().message.contains(kRunDetails)) continue;
        if (!sent) co_return std::unexpected(std::move(sent.error()));
        auto named = json::parse<github::DispatchedRun>(sent->body);
        co_return named ? std::optional(named->workflow_run_id) : std::nullopt;
    }
    std::unreachable();
}

// A look that fails for a reason that passes is repeated. How long to wait until then; nullopt: it is over.
std::optional<std::chrono::milliseconds> until_next_look(const github::Session& session, const Error* error,
                                                         steady_clock::time_point deadline) {
    std::chrono::milliseconds wait = session.options().poll_interval;
    if (error && error->code == github::kRateLimitExceeded)
        wait = std::max<std::chrono::milliseconds>(wait, error->retry_after.value_or(std::chrono::seconds(0)));
    else if (error && !github::is_unsure(*error))
        return std::nullopt;
    if (steady_clock::now() + wait > deadline) return std::nullopt;
    return wait;
}

// Whoever tries again what is transient would start a second run.
Error dispatched(std::optional<Error> why, std::string_view what, std::chrono::milliseconds patience) {
    auto message =
        fmt::format("{}: GitHub took it, but no run of it was to be seen within {} ms", what, patience.count());
    if (why) message += ": " + why->message;
    const bool fatal = why && why->category == ErrorCategory::fatal;
    return Error{fatal ? ErrorCategory::fatal : ErrorCategory::permanent, "dispatched", std::move(message), {}, {}};
}

// Until `find` has it. A run appears seconds after its dispatch.
Task<Result<WorkflowRun>> start_run(SessionPtr session, Dispatch wanted, std::chrono::milliseconds patience) {
    const auto what = fmt::format("{}: dispatch {} on {}", wanted.repository, wanted.workflow, wanted.ref);
    auto path = workflow_path(*session, wanted.repository, wanted.workflow);
    if (!path) co_return std::unexpected(std::move(path.error()));
    auto before = co_await dispatched_runs(session, *path);
    if (!before) co_return std::unexpected(in_context(std::move(before.error()), what));
    std::int64_t newest = 0;
    for (const auto& run : *before) newest = std::max(newest, run.id);

    std::string marker;
    if (!wanted.marker_input.empty()) {
        marker = new_uuid();
        wanted.inputs[wanted.marker_input] = marker;
    }
    boost::json::object inputs;
    for (const auto& [name, value] : wanted.inputs) inputs[name] = value;
    boost::json::object body{{"ref", wanted.ref}};
    if (!inputs.empty()) body["inputs"] = std::move(inputs);
    auto sent = co_await send_dispatch(session, *path, std::move(body));
    if (!sent && !github::is_unsure(sent.error())) co_return std::unexpected(in_context(std::move(sent.error()), what));

    const auto deadline = steady_clock::now() + patience;
    for (;;) {
        Result<std::optional<WorkflowRun>> found{std::nullopt};
        if (sent && *sent) {
            auto run = co_await get_run(session, wanted.repository, **sent);
            if (run)
                found = std::move(*run);
            else if (run.error().code != "not_found")
                found = std::unexpected(std::move(run.error()));
        } else {
            auto runs = co_await dispatched_runs(session, *path);
            if (runs)
                found = github::choose_run(*runs, newest, wanted.ref, marker);
            else
                found = std::unexpected(std::move(runs.error()));
        }
        if (found && *found) co_return std::move(**found);
        const auto wait = until_next_look(*session, found ? nullptr : &found.error(), deadline);
        if (wait) {
            co_await async::sleep_for(*wait);
            continue;
        }
        if (!sent) co_return std::unexpected(in_context(std::move(sent.error()), what));
        if (!found && found.error().code == "conflict") co_return std::unexpected(in_context(found.error(), what));
        co_return std::unexpected(dispatched(found ? std::nullopt : std::optional(found.error()), what, patience));
    }
}

Task<Result<WorkflowRun>> await_run(SessionPtr session, std::string repository, std::int64_t id,
                                    std::chrono::milliseconds limit) {
    const auto deadline = steady_clock::now() + limit;
    for (;;) {
        auto run = co_await get_run(session, repository, id);
        if (run && run->completed()) co_return run;
        const bool over = !run && !github::is_unsure(run.error()) && run.error().code != github::kRateLimitExceeded;
        if (over) co_return run;
        const auto wait = until_next_look(*session, run ? nullptr : &run.error(), deadline);
        if (!wait) break;
        co_await async::sleep_for(*wait);
    }
    co_return fail(ErrorCategory::transient, "timeout",
                   fmt::format("{}: run {} has not ended within {} s", repository, id,
                               std::chrono::ceil<std::chrono::seconds>(limit).count()));
}

Task<Result<void>> stop_run(SessionPtr session, std::string repository, std::int64_t id) {
    auto path = run_path(*session, repository, id);
    if (!path) co_return std::unexpected(std::move(path.error()));
    auto stopped =
        co_await session->call({.operation = "cancel workflow run", .method = "POST", .target = *path + "/cancel"});
    // 409: it has ended already.
    if (!stopped && stopped.error().code != "conflict")
        co_return std::unexpected(in_context(std::move(stopped.error()), fmt::format("{}: run {}", repository, id)));
    co_return Result<void>{};
}

Task<Result<std::vector<WorkflowRun>>> list_runs(SessionPtr session, std::string repository, std::string branch) {
    auto path = session->repository_path(repository);
    if (!path) co_return std::unexpected(std::move(path.error()));
    *path += "/actions/runs?per_page=100";
    if (!branch.empty()) *path += "&branch=" + http::percent_encode(branch);
    auto runs = co_await session->list<WorkflowRun>({.operation = "list workflow runs", .target = std::move(*path)},
                                                    "workflow_runs");
    if (!runs) co_return std::unexpected(in_context(std::move(runs.error()), repository));
    co_return runs;
}

}  // namespace

Task<Result<WorkflowRun>> GitHubClient::dispatch(Dispatch dispatch, std::chrono::milliseconds patience) {
    return start_run(session_, std::move(dispatch), patience);
}

Task<Result<WorkflowRun>> GitHubClient::workflow_run(std::string repository, std::int64_t id) {
    return get_run(session_, std::move(repository), id);
}

Task<Result<std::vector<WorkflowRun>>> GitHubClient::workflow_runs(std::string repository, std::string branch) {
    return list_runs(session_, std::move(repository), std::move(branch));
}

Task<Result<WorkflowRun>> GitHubClient::wait_for_run(std::string repository, std::int64_t id,
                                                     std::chrono::milliseconds limit) {
    return await_run(session_, std::move(repository), id, limit);
}

Task<Result<void>> GitHubClient::cancel_run(std::string repository, std::int64_t id) {
    return stop_run(session_, std::move(repository), id);
}

}  // namespace codegen::clients
