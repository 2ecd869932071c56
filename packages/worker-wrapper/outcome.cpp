#include "packages/worker-wrapper/outcome.hpp"

namespace codegen::wrapper {

using contracts::FailureReason;
using contracts::ResultStatus;
using contracts::VerdictStatus;

namespace {

std::string memory_text(std::int64_t limit) {
    if (limit <= 0) return "its memory limit";
    return "its memory limit of " + std::to_string(limit >> 20) + " MiB";
}

Outcome error(FailureReason reason, std::string text) { return {ResultStatus::error, reason, std::move(text)}; }

std::string with_last_line(std::string text, const RunFacts& facts) {
    if (!facts.last_error_line.empty()) text += ": " + facts.last_error_line;
    return text;
}

Outcome decide_run(const RunFacts& facts) {
    if (facts.start_error)
        return error(FailureReason::infrastructure, "the agent could not be started: " + *facts.start_error);
    if (facts.cut == Cut::cancelled) return error(FailureReason::cancelled, "the worker was stopped");
    if (facts.cut == Cut::halted)
        return error(facts.halt_reason.value_or(FailureReason::infrastructure), facts.halt_error);
    if (facts.cut == Cut::timeout)
        return {ResultStatus::timeout, FailureReason::timeout,
                "the agent was stopped after " + std::to_string(facts.timeout_seconds) + " s"};
    if (facts.oom_counter_rose && facts.end.by_sigkill())
        return error(FailureReason::out_of_memory, "the agent exceeded " + memory_text(facts.memory_limit));
    if (facts.end.signal)
        return error(FailureReason::killed, "the agent was killed by signal " + std::to_string(*facts.end.signal));

    const bool own_success = facts.needs_final_record
                                 ? facts.summary.final_record && facts.summary.final_record->success
                                 : facts.end.exit_code == 0;
    if (!own_success && facts.halt_reason) return error(*facts.halt_reason, facts.halt_error);
    if (!own_success) {
        if (facts.verdict && facts.verdict->status == VerdictStatus::failure)
            return {ResultStatus::failed, FailureReason::agent_failure, facts.verdict->summary};
        if (facts.summary.final_record)
            return error(facts.summary.final_record->reason.value_or(FailureReason::agent_failure),
                         facts.summary.final_record->error);
        if (facts.needs_final_record && facts.summary.provider_trouble)
            return error(FailureReason::provider_error, *facts.summary.provider_trouble);
        if (facts.end.by_sigkill())
            return error(FailureReason::killed, with_last_line("the agent was killed (exit 137)", facts));
        const std::string what = "the agent ended with exit " + std::to_string(facts.end.exit_code.value_or(-1));
        return error(FailureReason::agent_failure,
                     with_last_line(facts.needs_final_record ? what + " and without its final record" : what, facts));
    }
    if (!facts.needs_verdict) return {ResultStatus::success, std::nullopt, std::nullopt};
    if (!facts.verdict) return error(FailureReason::no_verdict, "the agent ended without a verdict");
    switch (facts.verdict->status) {
        case VerdictStatus::success:
            return {ResultStatus::success, std::nullopt, std::nullopt};
        case VerdictStatus::failure:
            return {ResultStatus::failed, FailureReason::agent_failure, facts.verdict->summary};
        case VerdictStatus::in_progress:
            break;
    }
    return error(FailureReason::no_verdict, "the agent ended with the verdict in_progress: " + facts.verdict->summary);
}

}  // namespace

Outcome decide(const RunFacts& facts) {
    auto outcome = decide_run(facts);
    if (!facts.asked_again || facts.verdict) return outcome;
    // What went wrong is that nothing was reported; why asking did not help comes after it.
    const bool failed_otherwise = outcome.reason == FailureReason::provider_error ||
                                  outcome.reason == FailureReason::agent_failure ||
                                  outcome.reason == FailureReason::infrastructure;
    if (failed_otherwise)
        return error(FailureReason::no_verdict,
                     "the agent ended without a verdict, and asking for it failed: " + outcome.error.value_or(""));
    return outcome;
}

}  // namespace codegen::wrapper
