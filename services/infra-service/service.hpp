// The role "infra-service": makes servers ready for projects, and well again.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "services/infra-service/provisioner.hpp"
#include "shared/redis/consumer.hpp"

namespace codegen::infra {

struct ServiceOptions {
    redis::Address redis;
    std::string instance;  // consumer name; the same after a restart, so that pending entries are taken over at once
    WorkOptions work;
    ProvisionerOptions provisioner;
    std::size_t concurrency = 64;                 // messages in hand; most of them wait for their server or a place
    std::chrono::milliseconds claim_idle{60000};  // entries of a copy that died are taken over after this
    std::chrono::milliseconds sweep{30000};       // how often requests that nobody works on are looked for
    std::chrono::hours keep_requests{24 * 30};    // told ones
};

// What ansible-playbook and ssh need on this host and is not there, with the way out; empty: nothing. Blocking.
std::vector<std::string> missing_programs(const WorkOptions& options);

// Use on one thread. The database outlives it. Several copies may run on one database and one Redis.
class Service {
  public:
    // `api` carries the token of infra-service (infra.token).
    Service(asio::any_io_executor executor, storage::Database& database, clients::ApiClient api,
            ServiceOptions options);
    ~Service();

    // Makes its tables, ends what an earlier process left on this host and works until stop() or cancellation; then
    // everything it spawned has ended, and every process of a provisioning in work is killed: it is done again by who
    // comes next. The error is one that restarting does not repair.
    Task<Result<void>> run();
    void stop();

    static std::vector<redis::ConsumedStream> consumed_streams();

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace codegen::infra
