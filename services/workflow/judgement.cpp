#include "services/workflow/judgement.hpp"

#include <fmt/format.h>

namespace codegen::workflow {
namespace {

using contracts::ResultStatus;
using contracts::VerdictStatus;

bool flag(const contracts::AgentVerdict& verdict, std::string_view name) {
    const auto* value = verdict.data.if_contains(name);
    return value && value->is_bool() && value->get_bool();
}

Reason reason_by_status(ResultStatus status) {
    switch (status) {
        case ResultStatus::timeout:
            return Reason::timeout;
        case ResultStatus::failed:
            return Reason::agent_failure;
        default:
            return Reason::infrastructure;
    }
}

Outcome failed(Reason reason, std::string error) { return {Ending::failed, reason, std::move(error)}; }

}  // namespace

ClaimJudgement judge_claim(const contracts::DeveloperWorkerOutput& output) {
    using What = ClaimJudgement::What;
    const auto& verdict = output.verdict;
    const bool says_failure = verdict && verdict->status == VerdictStatus::failure;
    // A body that died outranks what its agent had said before.
    if (output.status != ResultStatus::success && !(output.status == ResultStatus::failed && says_failure)) {
        const Reason reason = output.reason.value_or(reason_by_status(output.status));
        return {What::failed, reason,
                output.error.value_or(fmt::format("the developer's result is \"{}\"", json::name_of(output.status)))};
    }
    if (says_failure) {
        if (flag(*verdict, "blocked")) return {What::blocked, {}, verdict->summary};
        return {What::failed, output.reason.value_or(Reason::agent_failure),
                verdict->summary.empty() ? output.error.value_or("the agent reported failure") : verdict->summary};
    }
    if (!verdict) return {What::failed, Reason::no_verdict, "the agent ended without reporting a result"};
    if (verdict->status == VerdictStatus::in_progress)
        return {What::failed, Reason::no_verdict, "the agent ended while it reported its work as still in progress"};
    return {What::claimed_success, {}, {}};
}

Outcome judge_commit(const contracts::DeveloperWorkerOutput& claim, const contracts::CollectWorkerResponse& collected) {
    if (!collected.success)
        return failed(collected.reason.value_or(Reason::infrastructure),
                      collected.error.value_or("the worker's commits could not be collected"));
    if (collected.commit_sha && collected.commits > 0) return {Ending::completed, {}, {}};
    if (claim.commit_sha)
        return failed(Reason::no_commit,
                      fmt::format("the agent claims commit {}, but it made no new commit", *claim.commit_sha));
    if (claim.verdict && flag(*claim.verdict, "no_changes")) return {Ending::completed, {}, {}};
    return failed(Reason::no_commit, "the agent reported success but made no new commit");
}

Reason reason_of_refusal(const std::optional<std::string>& error) {
    return error && error->starts_with("no_capacity") ? Reason::no_capacity : Reason::infrastructure;
}

contracts::ExecutionStatus execution_status(const std::optional<contracts::DeveloperWorkerOutput>& claim,
                                            const std::optional<Outcome>& outcome) {
    using contracts::ExecutionStatus;
    if (claim && claim->verdict && claim->verdict->status == VerdictStatus::failure &&
        judge_claim(*claim).reason.value_or(Reason::agent_failure) == Reason::agent_failure)
        return ExecutionStatus::failure;
    if (outcome && outcome->ending == Ending::completed) return ExecutionStatus::success;
    return ExecutionStatus::error;
}

}  // namespace codegen::workflow
