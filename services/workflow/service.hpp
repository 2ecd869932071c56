// The role "workflow": durable engineering runs.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "services/workflow/engine.hpp"
#include "services/workflow/scaffolding.hpp"
#include "services/workflow/sweeper.hpp"
#include "services/workflow/upkeep.hpp"
#include "shared/clients/api/api_client.hpp"
#include "shared/clients/github/github_client.hpp"
#include "shared/redis/consumer.hpp"
#include "shared/storage/database.hpp"

namespace codegen::workflow {

struct ServiceOptions {
    std::filesystem::path repositories;  // <state>/repositories; its parent exists
    redis::Address redis;
    std::string instance;  // consumer name; the same after a restart, so that pending entries are taken over at once
    Timings timings;
    Policy policy;
    std::shared_ptr<clients::GitHubClient> github;  // for pull requests; null: none
    SweeperOptions sweeper;
    UpkeepOptions upkeep;
    ScaffoldingOptions scaffolding;
    std::chrono::milliseconds claim_idle{60000};         // entries of a copy that died are taken over after this
    std::chrono::milliseconds data_loss_interval{1000};  // how often Redis is asked whether it lost data
};

// Use on one thread. The database outlives it. Several copies may run on one database and one Redis.
class Service {
  public:
    // `api` carries the service token.
    Service(asio::any_io_executor executor, storage::Database& database, clients::ApiClient api,
            ServiceOptions options);
    ~Service();

    // Makes its tables, sends outstanding requests again and works until stop() or cancellation; then everything it
    // spawned has ended. The error is one that restarting does not repair (no database, refused credentials).
    Task<Result<void>> run();
    void stop();

    static std::vector<redis::ConsumedStream> consumed_streams();

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace codegen::workflow
