#include "services/workflow/judgement.hpp"

#include <gtest/gtest.h>

namespace codegen::workflow {
namespace {

using contracts::ExecutionStatus;
using contracts::ResultStatus;
using contracts::VerdictStatus;
using What = ClaimJudgement::What;

contracts::DeveloperWorkerOutput output(ResultStatus status, std::optional<VerdictStatus> verdict,
                                        std::optional<Reason> reason = {}, std::string_view data_flag = "") {
    contracts::DeveloperWorkerOutput out;
    out.task_id = "t";
    out.status = status;
    out.reason = reason;
    if (verdict) {
        out.verdict.emplace();
        out.verdict->status = *verdict;
        out.verdict->summary = "what I say";
        if (!data_flag.empty()) out.verdict->data[data_flag] = true;
    }
    return out;
}

// Every combination of status, verdict, given reason and the blocked mark, against the sentence in the protocol.
TEST(JudgeClaim, every_combination) {
    const std::vector<std::optional<VerdictStatus>> verdicts{std::nullopt, VerdictStatus::success,
                                                             VerdictStatus::failure, VerdictStatus::in_progress};
    const std::vector<std::optional<Reason>> reasons{std::nullopt, Reason::killed, Reason::provider_error};
    int claims = 0;
    for (const auto status : {ResultStatus::success, ResultStatus::failed, ResultStatus::error, ResultStatus::timeout})
        for (const auto& verdict : verdicts)
            for (const auto& reason : reasons)
                for (const bool blocked : {false, true}) {
                    const auto judged = judge_claim(output(status, verdict, reason, blocked ? "blocked" : ""));
                    const bool said_failure = verdict == VerdictStatus::failure;
                    const bool own_words =
                        status == ResultStatus::success || (status == ResultStatus::failed && said_failure);
                    SCOPED_TRACE(std::string(json::name_of(status)) + " " +
                                 (verdict ? std::string(json::name_of(*verdict)) : "none") +
                                 (blocked ? " blocked" : ""));
                    if (status == ResultStatus::success && verdict == VerdictStatus::success) {
                        EXPECT_EQ(judged.what, What::claimed_success);
                        ++claims;
                    } else if (own_words && said_failure && blocked) {
                        EXPECT_EQ(judged.what, What::blocked);
                    } else {
                        ASSERT_EQ(judged.what, What::failed);
                        ASSERT_TRUE(judged.reason);
                        EXPECT_FALSE(judged.error.empty());
                        if (own_words && !said_failure)
                            EXPECT_EQ(*judged.reason, Reason::no_verdict);
                        else if (reason)
                            EXPECT_EQ(*judged.reason, *reason);
                        else if (status == ResultStatus::timeout)
                            EXPECT_EQ(*judged.reason, Reason::timeout);
                        else if (status == ResultStatus::error)
                            EXPECT_EQ(*judged.reason, Reason::infrastructure);
                        else
                            EXPECT_EQ(*judged.reason, Reason::agent_failure);
                    }
                }
    EXPECT_EQ(claims, 6);
}

contracts::CollectWorkerResponse collected(bool success, std::optional<std::string> sha, int commits,
                                           std::optional<Reason> reason = {}) {
    contracts::CollectWorkerResponse out;
    out.success = success;
    out.commit_sha = std::move(sha);
    out.commits = commits;
    out.reason = reason;
    return out;
}

TEST(JudgeCommit, a_new_commit_completes) {
    const auto claim = output(ResultStatus::success, VerdictStatus::success);
    EXPECT_EQ(judge_commit(claim, collected(true, "abc", 1)).ending, Ending::completed);
    const auto unchanged = output(ResultStatus::success, VerdictStatus::success, {}, "no_changes");
    EXPECT_EQ(judge_commit(unchanged, collected(true, "abc", 2)).ending, Ending::completed);
}

TEST(JudgeCommit, none_is_a_failure_unless_nothing_had_to_change) {
    auto claim = output(ResultStatus::success, VerdictStatus::success);
    EXPECT_EQ(judge_commit(claim, collected(true, {}, 0)).reason, Reason::no_commit);
    EXPECT_EQ(judge_commit(claim, collected(true, "base", 0)).reason, Reason::no_commit);
    auto unchanged = output(ResultStatus::success, VerdictStatus::success, {}, "no_changes");
    EXPECT_EQ(judge_commit(unchanged, collected(true, {}, 0)).ending, Ending::completed);
    unchanged.commit_sha = "claimed";
    const auto both = judge_commit(unchanged, collected(true, {}, 0));
    EXPECT_EQ(both.reason, Reason::no_commit);
    EXPECT_NE(both.error->find("claimed"), std::string::npos);
}

TEST(JudgeCommit, the_managers_reason_stands) {
    const auto claim = output(ResultStatus::success, VerdictStatus::success, {}, "no_changes");
    for (const auto reason :
         {Reason::commit_missing, Reason::commit_rejected, Reason::no_commit, Reason::infrastructure})
        EXPECT_EQ(judge_commit(claim, collected(false, {}, 0, reason)).reason, reason);
    EXPECT_EQ(judge_commit(claim, collected(false, "abc", 1)).reason, Reason::infrastructure);
}

TEST(ReasonOfRefusal, code_stands_first) {
    EXPECT_EQ(reason_of_refusal("no_capacity: 0 of 4 slots free"), Reason::no_capacity);
    EXPECT_EQ(reason_of_refusal("infrastructure: no engine"), Reason::infrastructure);
    EXPECT_EQ(reason_of_refusal("docker: no_capacity"), Reason::infrastructure);
    EXPECT_EQ(reason_of_refusal({}), Reason::infrastructure);
}

TEST(ExecutionStatusOf, failure_only_by_the_agents_own_word) {
    const Outcome completed{Ending::completed, {}, {}};
    const Outcome failed{Ending::failed, Reason::no_commit, "x"};
    const auto success = output(ResultStatus::success, VerdictStatus::success);
    const auto failure = output(ResultStatus::success, VerdictStatus::failure);
    const auto blocked = output(ResultStatus::success, VerdictStatus::failure, {}, "blocked");
    EXPECT_EQ(execution_status(success, completed), ExecutionStatus::success);
    EXPECT_EQ(execution_status(success, failed), ExecutionStatus::error);
    EXPECT_EQ(execution_status(failure, failed), ExecutionStatus::failure);
    EXPECT_EQ(execution_status(blocked, {}), ExecutionStatus::failure);
    EXPECT_EQ(execution_status(output(ResultStatus::failed, {}, Reason::killed), failed), ExecutionStatus::error);
    EXPECT_EQ(execution_status(output(ResultStatus::error, VerdictStatus::failure, Reason::killed), failed),
              ExecutionStatus::error);
    EXPECT_EQ(execution_status({}, failed), ExecutionStatus::error);
}

}  // namespace
}  // namespace codegen::workflow
