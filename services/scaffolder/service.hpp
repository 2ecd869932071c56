// The role "scaffolder": first code bases for new projects. README.md has the rest.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "services/scaffolder/scaffolder.hpp"
#include "shared/redis/consumer.hpp"

namespace codegen::scaffolder {

struct ServiceOptions {
    redis::Address redis;
    std::string instance;  // consumer name; the same after a restart
    ScaffolderOptions scaffolder;
    std::chrono::milliseconds claim_idle{60000};
};

// Use on one thread. Several copies may run on one Redis.
class Service {
  public:
    // `api` carries the service token.
    Service(asio::any_io_executor executor, clients::ApiClient api, std::unique_ptr<RepositoryHost> host,
            ServiceOptions options);
    ~Service();

    // Shows that it will take from its queue, so that nobody who asks just now is told that nobody does.
    Task<Result<void>> announce();
    // Removes what killed processes left, then works until stop() or cancellation. The error is one that restarting
    // does not repair (refused credentials).
    Task<Result<void>> run();
    void stop();  // what is being made is cut off and made by the next one

    static std::vector<redis::ConsumedStream> consumed_streams();

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace codegen::scaffolder
