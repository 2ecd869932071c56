#include "services/worker-manager/service.hpp"

#include "services/worker-manager/manager.hpp"
#include "shared/contracts/streams.hpp"

namespace codegen::worker_manager {

Service::Service(asio::any_io_executor executor, Options options, storage::Database& database,
                 std::shared_ptr<WorkerRuntime> runtime)
    : manager_(std::make_shared<Manager>(std::move(executor), std::move(options), database, std::move(runtime))) {}

Service::~Service() = default;

Task<Result<void>> Service::run() { return manager_->run(); }

Task<void> Service::stop() { return manager_->stop(); }

Images& Service::images() { return manager_->images(); }

std::vector<redis::ConsumedStream> Service::consumed_streams() {
    namespace streams = contracts::streams;
    return {{std::string(streams::kWorkerCommands), std::string(streams::kWorkerManagerGroup), "worker-manager",
             "WorkerCommand"},
            {std::string(streams::kWorkerLifecycle), std::string(streams::kWorkerManagerOwnerGroup), "worker-manager",
             "WorkerLifecycleEvent"},
            {streams::worker_commands_of("{host}"), std::string(streams::kWorkerManagerGroup), "worker-manager",
             "WorkerCommand"},
            {streams::worker_lifecycle_of("{host}"), std::string(streams::kWorkerManagerOwnerGroup), "worker-manager",
             "WorkerLifecycleEvent"}};
}

}  // namespace codegen::worker_manager
