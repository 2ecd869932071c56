// What the workflow does with each message it consumes. Idempotent; errors as redis::DeliveryHandler wants them.
#pragma once
#include <set>
#include <string>

#include "services/workflow/runner.hpp"
#include "shared/redis/consumer.hpp"

namespace codegen::workflow {

class Intake {
  public:
    Intake(RunStore& store, clients::ApiClient& api, Runner& runner, Clock clock)
        : store_(store), api_(api), runner_(runner), clock_(std::move(clock)) {}

    Task<Result<void>> engineering(contracts::EngineeringMessage message, redis::Delivery delivery);
    Task<Result<void>> worker_response(redis::Delivery delivery);
    Task<Result<void>> developer_output(contracts::DeveloperWorkerOutput output, redis::Delivery delivery);
    Task<Result<void>> scaffolded(contracts::ScaffolderResult result, redis::Delivery delivery);
    Task<Result<void>> command(contracts::WorkflowCommand command, redis::Delivery delivery);
    // Commands that somebody was told are taken and that did not come through the queue: kept by the API since before
    // `before`.
    Task<Result<void>> forgotten_commands(Timestamp before);

  private:
    Task<Result<contracts::TaskRecord>> task_of(std::string task_id, std::int64_t user_id);
    Task<Result<void>> may_command(std::string task_id, std::int64_t owner, std::int64_t user_id);
    Task<Result<void>> repeated(contracts::EngineeringMessage message, redis::Delivery delivery, Run run);
    Task<Result<void>> obey(contracts::WorkflowCommand command, Seen seen);
    // False: a run began meanwhile.
    Task<Result<bool>> without_run(contracts::WorkflowCommand command, Seen seen);
    RunStore& store_;
    clients::ApiClient& api_;
    Runner& runner_;
    Clock clock_;
    std::set<std::string> telling_;  // tasks of which an asker is being noted
};

}  // namespace codegen::workflow
