// The task-executions rows: one for a developer request, one for a run of the tests.
#include "services/workflow/judgement.hpp"
#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

boost::json::object result_data(RunData& data, const std::optional<Outcome>& ended,
                                std::optional<boost::json::object> gateway) {
    boost::json::object out;
    if (const auto& claim = data.claim) {
        out["status"] = json::name_of(claim->status);
        if (claim->verdict) out["verdict"] = json::to_value(*claim->verdict);
        if (claim->reason) out["reason"] = json::name_of(*claim->reason);
        if (claim->error) out["error"] = *claim->error;
        if (claim->commit_sha) out["claimed_sha"] = *claim->commit_sha;
        if (claim->session_id) out["session_id"] = *claim->session_id;
    }
    if (data.collected && data.collected->commit_sha) out["commit_sha"] = *data.collected->commit_sha;
    if (ended && ended->reason) out["reason"] = json::name_of(*ended->reason);
    if (ended && ended->error) out["error"] = *ended->error;
    if (gateway) out["gateway"] = std::move(*gateway);
    if (data.earlier_gateway) out["earlier_gateway"] = std::move(*data.earlier_gateway);
    data.earlier_gateway.reset();
    return out;
}

void add_usage(contracts::TaskExecution& row, const contracts::AgentUsage& usage) {
    row.input_tokens = usage.input_tokens;
    row.output_tokens = usage.output_tokens;
    row.cache_read_tokens = usage.cache_read_tokens;
    row.cache_write_tokens = usage.cache_write_tokens;
    row.cost_usd = usage.cost_usd;
    row.turns = usage.turns;
    row.model = usage.model;
}

// `answer` absent: it never came.
contracts::TaskExecution row_of(const Mover& mover, std::string id, const std::string& worker, Timestamp since,
                                const std::optional<contracts::DeveloperWorkerOutput>& answer) {
    contracts::TaskExecution row;
    row.id = std::move(id);
    row.task_id = mover.run.task_id;
    row.worker_id = worker;
    row.started_at = since;
    row.finished_at = answer ? answer->timestamp : mover.context.now;
    row.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(*row.finished_at - row.started_at).count();
    if (answer && answer->duration_ms) row.duration_ms = answer->duration_ms;
    row.duration_ms = std::max<std::int64_t>(0, *row.duration_ms);  // the worker's clock may differ
    row.created_at = mover.context.now;
    if (answer && answer->usage) add_usage(row, *answer->usage);
    return row;
}

}  // namespace

void post_execution(Mover& mover, std::optional<boost::json::object> gateway, std::optional<Outcome> ended) {
    auto& data = mover.run.data;
    if (data.outcome) ended = data.outcome;
    if (!ended) ended = data.attempt_failure;
    auto row = row_of(mover, *data.developing_request_id, data.worker_id,
                      data.developing_since.value_or(data.started_at), data.claim);
    row.status = execution_status(data.claim, ended);
    row.result_data = result_data(data, ended, std::move(gateway));
    mover.effects.push_back(CallApi{"POST", "/api/task-executions", json::write(row)});
    data.developing_request_id.reset();
}

void post_test_execution(Mover& mover, std::optional<boost::json::object> gateway) {
    using contracts::ExecutionStatus;
    auto& data = mover.run.data;
    auto& tests = data.tests;
    auto row = row_of(mover, *tests.request_id, tests.tester, tests.since.value_or(mover.context.now), tests.answer);
    row.status = !tests.passed   ? ExecutionStatus::error
                 : *tests.passed ? ExecutionStatus::success
                                 : ExecutionStatus::failure;
    boost::json::object out{{"kind", "test"}, {"command", tests.command.value_or("")}};
    if (data.collected && data.collected->commit_sha) out["commit_sha"] = *data.collected->commit_sha;
    if (!tests.output.empty()) out["output"] = tests.output;
    if (!tests.passed && tests.answer && tests.answer->reason) out["reason"] = json::name_of(*tests.answer->reason);
    if (!tests.passed && tests.answer && tests.answer->error) out["error"] = *tests.answer->error;
    if (gateway) out["gateway"] = std::move(*gateway);
    row.result_data = std::move(out);
    mover.effects.push_back(CallApi{"POST", "/api/task-executions", json::write(row)});
    tests.request_id.reset();
}

}  // namespace codegen::workflow
