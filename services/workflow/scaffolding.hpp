// The workflow's view of the scaffolder: whether one runs, and which projects still wait for it.
#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "shared/clients/api/api_client.hpp"
#include "shared/redis/client.hpp"

namespace codegen::workflow {

struct ScaffoldingOptions {
    std::optional<bool> served;  // known: `orchestratord dev` runs one or does not; absent: Redis is asked
    std::chrono::milliseconds resend{std::chrono::minutes(1)};  // for a project that stays `scaffolding`
    std::chrono::milliseconds interval{2000};
    // A project that asked for a code base waits this long for a scaffolder to appear, then begins without.
    std::chrono::milliseconds patience{10000};
};

// Use on one thread; outlived by both clients.
class Scaffolding {
  public:
    Scaffolding(redis::Client& redis, clients::ApiClient& api, ScaffoldingOptions options)
        : redis_(redis), api_(api), options_(options) {}

    Task<Result<bool>> is_served();
    std::chrono::milliseconds patience() const { return options_.patience; }

    Task<void> run();  // sends lost messages again, until cancelled; errors are logged
    // Redis lost what was sent: everything outstanding goes out again at the next look.
    void forget_sent() {
        sent_.clear();
        lost_ = true;
    }

  private:
    Task<Result<void>> send_forgotten();
    redis::Client& redis_;
    clients::ApiClient& api_;
    const ScaffoldingOptions options_;
    std::map<std::string, std::chrono::steady_clock::time_point> sent_;  // projects
    bool lost_ = false;
};

}  // namespace codegen::workflow
