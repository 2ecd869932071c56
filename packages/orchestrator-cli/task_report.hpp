// One task as the command shows it.
#pragma once
#include "packages/orchestrator-cli/answer.hpp"
#include "packages/orchestrator-cli/session.hpp"

namespace codegen::cli {

struct TaskReport {
    contracts::TaskRecord task;
    std::vector<contracts::TaskExecution> executions;  // oldest first
};

Task<Result<TaskReport>> load_report(std::shared_ptr<Session> session, std::string task_id);
// The task's JSON with a field `executions`.
boost::json::value report_json(const TaskReport& report);
std::string report_text(const TaskReport& report);
// Completed: the answer; failed or cancelled: a failure with the report as details.
Outcome end_of(const TaskReport& report);

}  // namespace codegen::cli
