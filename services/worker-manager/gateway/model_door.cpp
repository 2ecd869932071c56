// The model provider with the real key put in. Nothing is kept back of an answer, and what a request costs is charged
// to the run that it belongs to.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "services/worker-manager/gateway/api_routes.hpp"
#include "services/worker-manager/gateway/doors.hpp"
#include "services/worker-manager/gateway/model_answer.hpp"
#include "services/worker-manager/gateway/model_request.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

constexpr std::string_view kPrefix = "/model/";

// The providers' own error shape, which agents understand and show; text and header say that it is ours.
http::Reply own_answer(const Gate& gate, unsigned status, std::string kind, std::string_view type,
                       std::string_view why) {
    log::warning(
        "model request failed at the gateway",
        {{"worker_id", gate->identity.worker_id}, {"status", std::to_string(status)}, {"why", std::string(why)}});
    http::Reply reply;
    reply.head = http::json_response(
        status, {{"type", "error"}, {"error", {{"type", type}, {"message", fmt::format("codegen gateway: {}", why)}}}});
    reply.head.headers.set(kOwnAnswer, std::move(kind));
    return reply;
}

http::Reply own_error(const Gate& gate, unsigned status, std::string kind, std::string_view type,
                      std::string_view why) {
    ++gate->counts.model_own_errors;
    return own_answer(gate, status, std::move(kind), type, why);
}

// 400, because the agents' clients ask again after 401, 408, 409, 429 and 5xx, and give up after this.
http::Reply halted_answer(const Gate& gate) {
    const auto& halted = *gate->halted;
    return own_error(gate, 400, halted.reason, "invalid_request_error",
                     fmt::format("this run is ended ({}): {}", halted.reason, halted.error));
}

bool matches(const std::vector<std::string>& patterns, std::string_view path) {
    return std::ranges::any_of(patterns, [&](const std::string& allowed) {
        if (!allowed.ends_with("/*")) return path == allowed;
        const auto folder = std::string_view(allowed).substr(0, allowed.size() - 1);
        return path.starts_with(folder) && path.size() > folder.size() && !path.substr(folder.size()).contains('/');
    });
}

// What is answered in the provider's place, if this is.
std::optional<http::Reply> answer_here(const ModelProvider& provider, std::string_view method, std::string_view path) {
    const bool absent =
        matches(provider.absent, path) || (provider.key_value.empty() && matches(provider.absent_without_key, path));
    const bool swallowed = method == "POST" && matches(provider.swallowed, path);
    if (!absent && !swallowed) return {};
    http::Reply reply;
    reply.head = absent ? http::json_response(404, {{"error", "codegen gateway: there is none"}})
                        : http::json_response(200, boost::json::object{});
    return reply;
}

// Those whose answer is paid for.
bool generates(std::string_view method, std::string_view path) {
    return method == "POST" && (path.ends_with("/v1/messages") || path.ends_with("/v1/responses") ||
                                path.ends_with("/v1/chat/completions"));
}

// Statuses that say nothing against the request itself: the agent will come again with the same one.
bool is_provider_failure(unsigned status) {
    return status == 401 || status == 403 || status == 408 || status == 409 || status == 429 || status >= 500;
}

// The price of the model, for the counts; for a budget it must be known, or the budget could not be kept. Error: what
// to answer instead.
Task<std::expected<std::optional<ModelPrice>, http::Reply>> price_of(Gate gate, std::string model) {
    using Price = std::optional<ModelPrice>;
    const bool needed = gate->spending.with_budget();
    auto found = Result<Price>(Price{});
    if (gate->settings->prices) found = co_await PriceBook::find(gate->settings->prices, model);
    if (!needed) co_return found ? *found : Price{};
    if (!found) co_return std::unexpected(own_error(gate, 503, "no_prices", "api_error", found.error().message));
    if (*found) co_return *found;
    halt(gate, "budget",
         fmt::format("a budget in USD is set, but available-models has no input and output price of model \"{}\"; "
                     "an admin adds it with PUT /api/available-models/{}",
                     model, model));
    co_return std::unexpected(halted_answer(gate));
}

const ModelProvider* provider_of(const Gate& gate, std::string_view name) {
    const auto& providers = gate->settings->providers;
    const auto found = std::ranges::find(providers, name, &ModelProvider::name);
    return found == providers.end() ? nullptr : &*found;
}

// Provider, and the target there.
std::pair<std::string_view, std::string_view> split(std::string_view target) {
    const auto rest = target.substr(kPrefix.size());
    const auto slash = std::min(rest.find('/'), rest.size());
    return {rest.substr(0, slash), rest.substr(slash)};
}

struct Checked {
    const ModelProvider* provider;
    std::string target;  // at the provider
    bool costs;
};

// Error: what to answer instead of asking.
std::expected<Checked, http::Reply> check(const Gate& gate, const http::Request& request) {
    if (auto refusal = model_refusal(gate, request)) return std::unexpected(std::move(*refusal));
    const auto [name, target] = split(request.target);
    const auto* provider = provider_of(gate, name);
    const auto path = target.substr(0, target.find('?'));
    if (auto here = answer_here(*provider, request.method, path)) return std::unexpected(std::move(*here));
    // Without a wrapper that ends the run, the provider is tried again after a while.
    if (gate->halted && gate->halted->reason == "provider_error" &&
        !gate->patience.lost(std::chrono::steady_clock::now()))
        gate->halted.reset();
    if (gate->halted) return std::unexpected(halted_answer(gate));
    if (provider->key_value.empty()) {
        const auto why = fmt::format("no key for provider {} is configured; set {} for the control plane",
                                     provider->name, provider->key_setting);
        if (generates(request.method, path)) provider_failed(gate, why);
        if (gate->halted) return std::unexpected(halted_answer(gate));
        return std::unexpected(own_error(gate, 401, "no_key", "authentication_error", why));
    }
    return Checked{provider, std::string(target), generates(request.method, path)};
}

}  // namespace

std::optional<http::Reply> model_refusal(const Gate& gate, const http::Request& head) {
    const auto [name, target] = split(head.target);
    const auto* provider = provider_of(gate, name);
    if (!provider) return refuse(gate, 403, fmt::format("there is no model provider \"{}\" here", name));
    const auto path = target.substr(0, target.find('?'));
    const bool plain = is_plain_path(path);
    if (plain && answer_here(*provider, head.method, path)) return {};
    const bool read_or_post = head.method == "GET" || head.method == "HEAD" || head.method == "POST";
    if (plain && matches(provider->paths, path) && read_or_post) return {};
    return refuse(gate, 403,
                  fmt::format("{} {} of provider {} is not open to workers, only {}", head.method, path, provider->name,
                              fmt::join(provider->paths, ", ")));
}

Task<http::Reply> model_door(Gate gate, http::Request request) {
    const auto checked = check(gate, request);
    if (!checked) co_return checked.error();
    ModelAnswer::Asked asked;
    asked.costs = checked->costs;
    if (asked.costs) {
        const bool known = co_await wait_for_run(
            gate, [](const GatewayContext& context) { return context.spending.run().has_value(); });
        if (!known)
            co_return own_error(gate, 503, "no_run", "api_error",
                                "no request is running in this worker; whom a model's answer is charged to is unknown");
        if (gate->halted) co_return halted_answer(gate);
        const auto read = read_model_request(request.body);
        auto price = co_await price_of(gate, read.model);
        if (!price) co_return price.error();
        asked.price = *price;
        if (checked->target.contains("/v1/chat/")) request.body = asking_for_usage(std::move(request.body), read);
    }
    asked.bytes = static_cast<std::int64_t>(request.body.size());
    ++gate->counts.model_requests;
    gate->counts.model_bytes_sent += asked.bytes;
    request.target = checked->target;
    request.headers = end_to_end(request.headers);
    request.headers.set(checked->provider->key_header, checked->provider->key_value);
    request.headers.set("Accept-Encoding", "identity");  // or the usage in it could not be read
    auto& client = gate->providers.find(checked->provider->name)->second;
    auto stream = co_await client->open(std::move(request), gate->settings->model_head_timeout,
                                        gate->settings->model_idle_timeout);
    if (!stream) {
        const bool late = stream.error().code == "timeout";
        ++gate->counts.model_errors;
        provider_failed(gate, stream.error().message);
        if (gate->halted) co_return halted_answer(gate);
        co_return own_answer(gate, late ? 504 : 502, late ? "provider_timeout" : "provider_unreachable", "api_error",
                             fmt::format("the model provider does not answer: {}", stream.error().message));
    }
    const auto status = (*stream)->head().status;
    if (status >= 400) ++gate->counts.model_errors;
    if (asked.costs && is_provider_failure(status)) {
        provider_failed(gate, fmt::format("status {}", status));
        if (gate->halted) co_return halted_answer(gate);
    }
    asked.costs = asked.costs && status < 300;
    co_return ModelAnswer::reply(std::make_shared<ModelAnswer>(gate, std::move(*stream), asked));
}

}  // namespace codegen::worker_manager
