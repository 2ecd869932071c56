// The outcome, told to everybody: the task's row first, then progress and the asker's result.
#include <fmt/format.h>

#include "services/workflow/nodes/node.hpp"
#include "shared/base/trace.hpp"

namespace codegen::workflow {
namespace {

boost::json::object tests_result(const TestRuns& tests) {
    if (!tests.command) return {{"status", "none"}};  // the project has no test_command
    if (tests.runs == 0) return {{"status", "not_run"}, {"command", *tests.command}};
    boost::json::object out{{"status", tests.passed.value_or(false) ? "passed" : "failed"},
                            {"command", *tests.command},
                            {"runs", tests.runs}};
    if (!tests.output.empty()) out["output"] = tests.output;
    return out;
}

boost::json::object task_result(const Run& run, const Outcome& outcome) {
    const auto& data = run.data;
    boost::json::object out;
    if (outcome.reason) out["reason"] = json::name_of(*outcome.reason);
    if (data.collected && data.collected->commit_sha) {
        out["commit_sha"] = *data.collected->commit_sha;
        out["branch"] = branch_of(run);
        out["commits"] = data.collected->commits;
        if (data.collected->files_changed)
            out["files_changed"] = boost::json::value_from(*data.collected->files_changed);
    }
    if (!data.worker_id.empty()) out["worker_id"] = data.worker_id;
    if (data.claim && data.claim->usage) out["usage"] = json::to_value(*data.claim->usage);
    if (data.claim && data.claim->verdict) out["summary"] = data.claim->verdict->summary;
    if (run.attempt > 1) out["attempts"] = run.attempt;
    if (!data.retries.empty()) out["retries"] = data.retries;
    out["tests"] = tests_result(data.tests);
    if (const auto trace = trace_id_of(data.traceparent); !trace.empty()) out["trace_id"] = trace;
    return out;
}

contracts::ResultStatus result_status(const Outcome& outcome) {
    using contracts::ResultStatus;
    if (outcome.ending == Ending::completed) return ResultStatus::success;
    switch (outcome.reason.value_or(Reason::infrastructure)) {
        case Reason::timeout:
            return ResultStatus::timeout;
        case Reason::infrastructure:
        case Reason::no_capacity:
        case Reason::provider_error:
            return ResultStatus::error;
        default:
            return ResultStatus::failed;
    }
}

std::string sentence(const Run& run, const Outcome& outcome) {
    if (outcome.ending == Ending::cancelled) return "cancelled";
    if (outcome.ending == Ending::failed) return "failed";
    return run.data.collected && run.data.collected->commit_sha
               ? "commit " + *run.data.collected->commit_sha + " on " + branch_of(run)
               : "nothing had to be changed";
}

// The first line, at most as long as GitHub shows it, not cut within a character.
std::string title_of(const Run& run) {
    constexpr std::size_t kLongest = 72;
    std::string_view text = run.data.prompt;
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    text = text.substr(0, text.find_first_of("\r\n"));
    if (text.empty()) return "Task " + run.task_id;
    if (text.size() <= kLongest) return std::string(text);
    auto end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return std::string(text.substr(0, end)) + "...";
}

void open_pull_request(Mover& mover, const Outcome& outcome) {
    const auto& data = mover.run.data;
    const bool wanted = mover.context.policy.pull_requests && outcome.ending == Ending::completed && data.collected &&
                        data.collected->commit_sha && data.repository_url && data.repository_url->contains("://") &&
                        !data.repository_url->starts_with("file://");
    if (!wanted) return;
    std::string body = data.claim && data.claim->verdict ? data.claim->verdict->summary + "\n\n" : std::string();
    body += fmt::format("Task `{}`, commit {}.", mover.run.task_id, *data.collected->commit_sha);
    mover.effects.push_back(OpenPullRequest{mover.run.task_id, *data.repository_url, branch_of(mover.run),
                                            title_of(mover.run), std::move(body)});
}

}  // namespace

void answer_asker(Mover& mover) {
    const auto& data = mover.run.data;
    if (!data.callback_stream || !data.outcome) return;
    const auto& outcome = *data.outcome;
    contracts::EngineeringResult result;
    result.request_id = data.trigger_request_id;
    result.status = result_status(outcome);
    result.error = outcome.error;
    result.duration_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(mover.context.now - data.started_at).count();
    if (data.collected && data.collected->commit_sha) {
        result.commit_sha = data.collected->commit_sha;
        result.branch = branch_of(mover.run);
        result.files_changed = data.collected->files_changed;
    }
    mover.publish(*data.callback_stream, json::write(result));
}

void settle(Mover& mover, std::optional<boost::json::object> gateway) {
    auto& data = mover.run.data;
    if (data.outcome_published) return;
    if (!data.outcome)
        data.outcome = data.attempt_failure.value_or(
            Outcome{Ending::failed, Reason::infrastructure, "the worker could not be removed"});
    if (data.tests.request_id) post_test_execution(mover, {});
    if (!gateway && data.collected) gateway = data.collected->gateway;
    if (data.developing_request_id) post_execution(mover, std::move(gateway));
    publish_outcome(mover);
}

void publish_outcome(Mover& mover) {
    auto& data = mover.run.data;
    const Outcome outcome = *data.outcome;
    data.outcome_published = true;
    boost::json::object fields{{"status", json::name_of(outcome.ending)},
                               {"result", task_result(mover.run, outcome)},
                               {"completed_at", format_timestamp(mover.context.now)}};
    if (outcome.error) fields["error_message"] = *outcome.error;
    if (data.question) {
        data.question.reset();
        data.task_metadata.erase("waiting_for");
        data.task_metadata.erase("question");
        fields["task_metadata"] = data.task_metadata;
    }
    mover.patch_task(std::move(fields));
    const auto type =
        outcome.ending == Ending::completed ? contracts::ProgressType::completed : contracts::ProgressType::failed;
    std::optional<std::string> error;
    if (outcome.reason) {
        error = std::string(json::name_of(*outcome.reason));
        if (outcome.error) *error += ": " + *outcome.error;
    }
    mover.progress(type, "finish", sentence(mover.run, outcome), 100, std::move(error));
    answer_asker(mover);
    open_pull_request(mover, outcome);
}

}  // namespace codegen::workflow
