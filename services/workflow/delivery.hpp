// Where the outbox rows of the workflow go: Redis streams and the API.
#pragma once
#include "shared/clients/api/api_client.hpp"
#include "shared/redis/client.hpp"
#include "shared/storage/outbox.hpp"

namespace codegen::workflow {

// Delivers one row; see storage::Outbox for what errors mean. Safe to repeat. Outlived by both clients.
class Delivery {
  public:
    Delivery(redis::Client& redis, clients::ApiClient& api) : redis_(redis), api_(api) {}
    Task<Result<void>> deliver(storage::OutboxItem item);

  private:
    Task<Result<void>> publish(std::string body);
    Task<Result<void>> call(std::string body);
    redis::Client& redis_;
    clients::ApiClient& api_;
};

}  // namespace codegen::workflow
