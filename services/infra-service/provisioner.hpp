// Messages in, results out: one provisioning of a server at a time, several servers at once.
#pragma once
#include <memory>
#include <set>

#include "services/infra-service/work.hpp"
#include "shared/async/scope.hpp"
#include "shared/redis/client.hpp"

namespace codegen::infra {

struct ProvisionerOptions {
    std::size_t parallel = 4;                // servers worked on at once by this process
    std::chrono::milliseconds lease{60000};  // a process that died blocks its server no longer than this
    std::int64_t deaths = 3;                 // of processes that worked on one request; then it is given up
    std::chrono::milliseconds poll{1000};    // how often a server that somebody has is looked at again
    Clock clock = system_now;
};

// Use on one thread; everything given outlives it.
class Provisioner {
  public:
    Provisioner(Records& records, Store& store, redis::Client& redis, Work& work, async::Scope& scope,
                ProvisionerOptions options);

    // Returns when the result is on its way. A request that is known already is not worked on twice; one that was told
    // of is told of again. A server that is not there: its result says so, and the error is permanent.
    Task<Result<void>> handle(contracts::ProvisionerMessage message);
    // Requests that somebody was told are taken and that did not come through the queue: kept by the API since before
    // `before`. Stored from here on; what is to be worked on.
    Task<Result<std::vector<contracts::ProvisionerMessage>>> forgotten(Timestamp before);

  private:
    Task<Result<StoredRequest>> accept(contracts::ProvisionerMessage message);
    Task<Result<void>> with_lease(contracts::ProvisionerMessage message, Lease lease);
    Task<Result<bool>> take(contracts::ProvisionerMessage message, Lease lease);
    Task<void> keep(Lease lease);
    Task<void> work_and_keep(contracts::ProvisionerMessage message, std::optional<Result<void>>* out);
    Task<Result<void>> work_on(contracts::ProvisionerMessage message);
    Task<Result<Ending>> work(contracts::ProvisionerMessage message, contracts::Server server);
    Task<Result<void>> refuse(contracts::ProvisionerMessage message, Error error);
    Task<Result<void>> tell_again(StoredRequest stored);
    void progress(const contracts::ProvisionerMessage& message, std::string line);

    Records& records_;
    Store& store_;
    redis::Client& redis_;
    Work& work_;
    async::Scope& scope_;
    const ProvisionerOptions options_;
    std::size_t working_ = 0;
    std::set<std::string> begun_;  // requests whose work has begun and not ended
};

}  // namespace codegen::infra
