// The role worker-manager: makes, watches, harvests and removes workers, and serves each one's gateway.
// Consumes worker:commands and worker:lifecycle; README.md has the rest.
#pragma once
#include <memory>
#include <vector>

#include "services/worker-manager/options.hpp"
#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/redis/consumer.hpp"
#include "shared/storage/database.hpp"

namespace codegen::worker_manager {

class Manager;

// Use on the executor's thread. `database` must outlive it.
class Service {
  public:
    Service(asio::any_io_executor executor, Options options, storage::Database& database,
            std::shared_ptr<WorkerRuntime> runtime);
    ~Service();

    // Adopts what a former manager left, then consumes until cancelled or stopped; returns the fatal error that ended
    // it, if any. Workers live on: their gateways are served again by the next one.
    Task<Result<void>> run();
    // Ends run() and the gateways' connections; waits for both.
    Task<void> stop();

    // What workers are made from, for people.
    Images& images();

    static std::vector<redis::ConsumedStream> consumed_streams();

  private:
    std::shared_ptr<Manager> manager_;
};

}  // namespace codegen::worker_manager
