// When a developer task succeeded (docs/protocols.md, "Errors, retries, dead letters"): the truth table, without I/O.
#pragma once
#include <optional>
#include <string>

#include "services/workflow/run.hpp"

namespace codegen::workflow {

// What the developer's result amounts to. A success is a claim until the commit is checked.
struct ClaimJudgement {
    enum class What { claimed_success, blocked, failed } what{};
    std::optional<Reason> reason;  // failed
    std::string error;             // failed, blocked: for people
};
ClaimJudgement judge_claim(const contracts::DeveloperWorkerOutput& output);

// The end of the task, once the worker's commits were looked at. `claim` is one that judge_claim found successful.
Outcome judge_commit(const contracts::DeveloperWorkerOutput& claim, const contracts::CollectWorkerResponse& collected);

// Of a refused create: the error may begin with its code ("no_capacity: ...").
Reason reason_of_refusal(const std::optional<std::string>& error);

// `failure` when the agent itself said so, `success` when the task completed, else `error`.
contracts::ExecutionStatus execution_status(const std::optional<contracts::DeveloperWorkerOutput>& claim,
                                            const std::optional<Outcome>& outcome);

}  // namespace codegen::workflow
