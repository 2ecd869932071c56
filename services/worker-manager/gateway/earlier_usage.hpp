// What a task has used before this worker, out of its executions. Pure.
#pragma once
#include <cstdint>
#include <string_view>

namespace codegen::worker_manager {

struct EarlierUsage {
    std::int64_t tokens = 0;
    double usd = 0;
};

// `executions`: what GET /api/task-executions?task_id= answers. Those of `worker_id` itself are left out: its own
// counts have them. The counts of a gateway are its worker's, over all its executions, so the highest of each worker
// counts; an execution without any counts with what the agent said.
EarlierUsage earlier_usage(std::string_view executions, std::string_view worker_id);

}  // namespace codegen::worker_manager
