// The task-executions row of one developer request.
#include "services/workflow/judgement.hpp"
#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

boost::json::object result_data(const RunData& data, std::optional<boost::json::object> gateway) {
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
    if (data.outcome && data.outcome->reason) out["reason"] = json::name_of(*data.outcome->reason);
    if (data.outcome && data.outcome->error) out["error"] = *data.outcome->error;
    if (gateway) out["gateway"] = std::move(*gateway);
    return out;
}

}  // namespace

void post_execution(Mover& mover, std::optional<boost::json::object> gateway) {
    auto& data = mover.run.data;
    contracts::TaskExecution row;
    row.id = *data.developing_request_id;
    row.task_id = mover.run.task_id;
    row.worker_id = data.worker_id;
    row.started_at = data.developing_since.value_or(data.started_at);
    row.finished_at = data.claim ? data.claim->timestamp : mover.context.now;
    row.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(*row.finished_at - row.started_at).count();
    if (data.claim && data.claim->duration_ms) row.duration_ms = data.claim->duration_ms;
    row.duration_ms = std::max<std::int64_t>(0, *row.duration_ms);  // the worker's clock may differ
    row.status = execution_status(data.claim, data.outcome);
    row.result_data = result_data(data, std::move(gateway));
    row.created_at = mover.context.now;
    if (data.claim && data.claim->usage) {
        const auto& usage = *data.claim->usage;
        row.input_tokens = usage.input_tokens;
        row.output_tokens = usage.output_tokens;
        row.cache_read_tokens = usage.cache_read_tokens;
        row.cache_write_tokens = usage.cache_write_tokens;
        row.cost_usd = usage.cost_usd;
        row.turns = usage.turns;
        row.model = usage.model;
    }
    mover.effects.push_back(CallApi{"POST", "/api/task-executions", json::write(row)});
    data.developing_request_id.reset();
}

}  // namespace codegen::workflow
