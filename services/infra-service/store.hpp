// What infra-service keeps: requests until they were told of, and who works on which server.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "services/infra-service/ending.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/storage/database.hpp"
#include "shared/storage/outbox.hpp"

namespace codegen::infra {

// One claim on a server. `holder` is new for every claim: a process that comes back does not take its former self for
// itself.
struct Lease {
    std::string server;
    std::string holder;
};

struct StoredRequest {
    contracts::ProvisionerMessage message;
    std::optional<Ending> ending;  // work is done
    bool told = false;             // and so is everything else
};

// Use on one thread. Several copies of the role share the tables. Errors are the database's.
class Store {
  public:
    Store(storage::Database& database, storage::Outbox& outbox) : database_(database), outbox_(outbox) {}
    static std::vector<storage::Migration> migrations();  // of the component "infra"

    // Stores the request unless it is there; what is stored then.
    Task<Result<StoredRequest>> accept(contracts::ProvisionerMessage message, Timestamp now);
    Task<Result<std::optional<StoredRequest>>> find(std::string request_id);
    // Work begins: how often it has, this time included, without an end or put_down(): the others died with their
    // process.
    Task<Result<std::int64_t>> begin(std::string request_id);
    Task<Result<void>> put_down(std::string request_id);  // whoever began it lives and will begin it again
    // The first ending counts; the one that does is returned.
    Task<Result<Ending>> end(std::string request_id, Ending ending, Timestamp now);
    // The result goes out, once, with the note that it does.
    Task<Result<void>> told(std::string request_id, contracts::ProvisionerResult result,
                            std::optional<std::string> callback_stream, Timestamp now);
    Task<Result<void>> tell_again(contracts::ProvisionerResult result, std::optional<std::string> callback_stream);
    // Requests that nobody has touched since `before` and that were not told of, whose server is free.
    Task<Result<std::vector<contracts::ProvisionerMessage>>> forgotten(Timestamp before, Timestamp now);
    Task<Result<std::int64_t>> forget(Timestamp before);  // told ones

    // False: somebody else has it.
    Task<Result<bool>> take(Lease lease, Timestamp now, Timestamp until);
    Task<Result<bool>> renew(Lease lease, Timestamp until);  // false: it was taken over
    Task<Result<void>> give_back(Lease lease);

  private:
    std::vector<storage::Statement> result_out(const contracts::ProvisionerResult& result,
                                               const std::optional<std::string>& callback_stream) const;
    storage::Database& database_;
    storage::Outbox& outbox_;
};

}  // namespace codegen::infra
