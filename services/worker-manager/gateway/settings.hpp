// What all gateways of one manager share.
#pragma once
#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "services/worker-manager/gateway/egress.hpp"
#include "services/worker-manager/gateway/price_book.hpp"
#include "shared/async/async.hpp"
#include "shared/http/proxy.hpp"
#include "shared/redis/client.hpp"

namespace codegen::worker_manager {

// A model provider that workers reach as /model/<name>/...; the key stays here.
struct ModelProvider {
    std::string name;
    std::string base_url;
    std::string key_header;   // "x-api-key" or "authorization"; with its value:
    std::string key_value;    // empty: no key is configured, requests are answered 401
    std::string key_setting;  // for the text of that 401: what to set
    // Allowed: exactly these; "/x/*" is one more segment. Nothing else below them: /v1/messages/batches belongs to the
    // key's owner, not to one worker, and its tokens would not be counted.
    std::vector<std::string> paths;
    // Answered here and never asked of the provider. `absent`: 404, which an agent takes for "there is none".
    // `absent_without_key`: the same while no key is configured. `swallowed`: a POST is answered 200 and goes nowhere.
    std::vector<std::string> absent{};
    std::vector<std::string> absent_without_key{};
    std::vector<std::string> swallowed{};
    std::optional<http::Proxy> proxy{};  // on the way to it
};

// An empty key and token: none configured. The key wins when both are set. An empty base URL means the provider's own.
ModelProvider anthropic_provider(std::string base_url, std::string api_key, std::string auth_token);
// The base URL with or without its "/v1": OpenAI's own clients write it with, others without.
ModelProvider openai_provider(std::string base_url, std::string api_key);
// Factory's own API, which droid asks who it is, what it may do, and - with a key - for Factory's models. Its sessions
// are the key owner's, so no worker reads them: there are none. Telemetry goes nowhere. Paths: seen of droid 0.215.0.
ModelProvider factory_provider(std::string base_url, std::string api_key);

struct GatewaySettings {
    redis::Address redis;
    std::string api_url;
    std::vector<ModelProvider> providers;
    EgressRules egress;
    std::size_t body_limit = 64u << 20;                    // bytes of a request to a model
    std::size_t small_body_limit = 4u << 20;               // of any other: a prompt of 1 MB as JSON, as the API's own
    std::size_t bodies_limit = 128u << 20;                 // of one worker's requests that are under way at a time
    std::chrono::milliseconds model_head_timeout{600000};  // a model may think for minutes before it answers
    std::chrono::milliseconds model_idle_timeout{600000};  // between two pieces of an answer
    std::chrono::milliseconds provider_patience{120000};   // of nothing but failures; then a run is ended. 0: endless
    std::int64_t max_tokens_per_task = 0;                  // MAX_TOKENS_PER_TASK; 0: no limit
    std::shared_ptr<PriceBook> prices;                     // null: no price is known
    std::chrono::milliseconds token_wait{10000};           // how long a request waits for the worker's token
    // How long one to a model waits for the wrapper to announce the run that it is charged to. After a restart of ours
    // the agent may be faster than the wrapper.
    std::chrono::milliseconds run_wait{5000};
    // Name -> addresses. Default: the system's resolver.
    std::function<Task<Result<std::vector<asio::ip::address>>>(std::string host)> resolve;
};

}  // namespace codegen::worker_manager
