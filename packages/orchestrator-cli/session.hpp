// The control plane as one invocation of the command sees it: the API and the queues, directly or through the gateway.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "packages/orchestrator-cli/settings.hpp"
#include "shared/clients/api/api_client.hpp"
#include "shared/redis/client.hpp"

namespace codegen::cli {

// Use on one thread. Connects when first used. Transient failures are retried three times (1, 2, 4 s); what then still
// fails is "unavailable" and says how to get the control plane running.
class Session {
  public:
    Session(asio::any_io_executor executor, Settings settings);

    Task<Result<std::string>> call(std::string method, std::string target, std::string body = {});
    template <class T>
    Task<Result<T>> get(std::string target) {
        return send<T>("GET", std::move(target), {});
    }
    template <class T>
    Task<Result<T>> send(std::string method, std::string target, std::string body) {
        auto answered = co_await call(std::move(method), std::move(target), std::move(body));
        if (!answered) co_return std::unexpected(answered.error());
        auto parsed = json::parse<T>(*answered);
        if (!parsed) co_return std::unexpected(in_context(invalid(parsed.error()), "answer of the API"));
        co_return std::move(*parsed);
    }
    // Adds one message to a stream; inside a worker the gateway does it, if the worker may.
    Task<Result<void>> enqueue(std::string stream, std::string message);
    // The same, and the API keeps the message (at `resource`) until its reader has it: a queue that is away or loses
    // what it holds only delays it.
    Task<Result<void>> keep_and_enqueue(std::string_view resource, std::string_view stream, std::string message);
    // Whether a running role takes from this stream; not retried. Inside a worker the gateway is asked.
    Task<Result<bool>> is_taken(std::string stream, std::string group);
    // Its connection; reads the address again when `fresh` (the control plane may have been restarted).
    Result<redis::Client*> redis(bool fresh = false);

    const Settings& settings() const { return settings_; }
    asio::any_io_executor executor() const { return executor_; }

  private:
    Result<clients::ApiClient*> api();
    asio::any_io_executor executor_;
    Settings settings_;
    std::optional<clients::ApiClient> api_;
    std::unique_ptr<redis::Client> redis_;
};

}  // namespace codegen::cli
