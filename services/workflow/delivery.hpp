// Where the outbox rows of the workflow go: Redis streams, the API and GitHub.
#pragma once
#include <memory>

#include "services/workflow/engine.hpp"
#include "shared/clients/api/api_client.hpp"
#include "shared/clients/github/github_client.hpp"
#include "shared/redis/client.hpp"
#include "shared/storage/outbox.hpp"

namespace codegen::workflow {

// Delivers one row; see storage::Outbox for what errors mean. Safe to repeat. Outlived by both clients.
class Delivery {
  public:
    // `github`: null where there is none.
    Delivery(redis::Client& redis, clients::ApiClient& api, std::shared_ptr<clients::GitHubClient> github)
        : redis_(redis), api_(api), github_(std::move(github)) {}
    Task<Result<void>> deliver(storage::OutboxItem item);

  private:
    Task<Result<void>> publish(std::string body);
    Task<Result<void>> call(std::string body);
    Task<Result<void>> open_pull_request(std::string body);
    Task<Result<clients::github::PullRequest>> make_pull_request(OpenPullRequest wanted);
    redis::Client& redis_;
    clients::ApiClient& api_;
    std::shared_ptr<clients::GitHubClient> github_;
};

}  // namespace codegen::workflow
