// The four ways out of http.sock. Each is called with the request as it came; nothing in it is believed.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "services/worker-manager/gateway/counts.hpp"
#include "services/worker-manager/gateway/identity.hpp"
#include "services/worker-manager/gateway/patience.hpp"
#include "services/worker-manager/gateway/settings.hpp"
#include "services/worker-manager/gateway/spending.hpp"
#include "shared/http/client.hpp"
#include "shared/http/message.hpp"

namespace codegen::worker_manager {

// Why a worker's run may ask no model any more.
struct Halt {
    std::string reason;  // "budget" or "provider_error"
    std::string error;
};

// One worker's gateway, as its doors see it.
struct GatewayContext {
    GatewayContext(asio::any_io_executor executor, redis::Client& redis_client,
                   std::shared_ptr<const GatewaySettings> shared, GatewayIdentity who)
        : redis(redis_client),
          settings(std::move(shared)),
          identity(std::move(who)),
          egress(settings->egress),
          patience(settings->provider_patience),
          token_set(executor, asio::steady_timer::time_point::max()),
          run_announced(executor, asio::steady_timer::time_point::max()) {}

    redis::Client& redis;  // the manager's own rights
    const std::shared_ptr<const GatewaySettings> settings;
    const GatewayIdentity identity;
    EgressRules egress;  // of the installation and of the project
    std::unique_ptr<http::Client> api;
    std::map<std::string, std::unique_ptr<http::Client>, std::less<>> providers;
    GatewayCounts counts;
    Spending spending;
    ProviderPatience patience;
    std::optional<Halt> halted;
    std::function<void(const std::string& line)> tell;  // the wrapper; empty: the control socket is closed
    std::string token;                                  // the worker's, for the API; empty: not there yet
    asio::steady_timer token_set;                       // cancelled when it is
    asio::steady_timer run_announced;                   // cancelled when one is, and when none is
    // The wrapper has said what runs, on a connection that still stands; and which commands that run's request permits,
    // where it names them.
    bool run_told = false;
    std::optional<std::vector<std::string>> run_commands;
    std::set<http::Stream*> tunnels;  // both ends of those that are open
};
using Gate = std::shared_ptr<GatewayContext>;

Task<http::Reply> api_door(Gate gate, http::Request request);     // /api/...
Task<http::Reply> stream_door(Gate gate, http::Request request);  // POST /streams/<stream>
Task<http::Reply> model_door(Gate gate, http::Request request);   // /model/<provider>/...
Task<http::Reply> tunnel_door(Gate gate, http::Request request);  // CONNECT host:port

// What a door says of a request with a body before the body is there; nullopt: it may come. The door looks again.
std::optional<http::Reply> api_refusal(const Gate& gate, const http::Request& head);
std::optional<http::Reply> stream_refusal(const Gate& gate, const http::Request& head);
std::optional<http::Reply> model_refusal(const Gate& gate, const http::Request& head);

// The worker with what both its configuration and the running request permit. Waits as long as the settings say for the
// wrapper to have told what runs; nullopt: it has not, so nobody knows what is permitted.
Task<std::optional<GatewayIdentity>> permitted(Gate gate);
http::Reply not_told(const Gate& gate);  // what to answer then
// Waits for it as long as the settings say. False: it has not come.
Task<bool> wait_for_run(Gate gate, bool (*known)(const GatewayContext&));

// A refusal or failure as a problem document, counted when `status` is 403, and logged.
http::Reply refuse(const Gate& gate, unsigned status, std::string why);

// Asks the API as this worker. Waits for the token as long as the settings say. Errors: transient.
Task<Result<http::Response>> ask_api(Gate gate, http::Request request);

// No model request of this run any more, and the wrapper is told to end it.
void halt(const Gate& gate, std::string reason, std::string why);
std::string stop_line(const std::string& request_id, const Halt& halted);  // control_socket.hpp
// The model provider did not do its part: counted, and after too long a row of it the run is halted.
void provider_failed(const Gate& gate, const std::string& how);

// The end-to-end fields: without hop-by-hop ones (also those that Connection names), credentials, Host and
// Content-Length.
http::Headers end_to_end(const http::Headers& headers);

}  // namespace codegen::worker_manager
