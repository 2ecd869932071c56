#include "services/worker-manager/gateway/doors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "shared/contracts/permissions.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

// RFC 9110, 7.6.1, and everything that says who somebody is.
constexpr std::array<std::string_view, 17> kDropped{"connection",
                                                    "keep-alive",
                                                    "proxy-connection",
                                                    "transfer-encoding",
                                                    "te",
                                                    "trailer",
                                                    "upgrade",
                                                    "host",
                                                    "authorization",
                                                    "x-api-key",
                                                    "proxy-authorization",
                                                    "x-telegram-id",
                                                    "openai-organization",
                                                    "openai-project",
                                                    "content-length",
                                                    "cookie",
                                                    "set-cookie"};

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool names(std::string_view list, std::string_view name) {
    while (!list.empty()) {
        const auto comma = list.find(',');
        auto item = list.substr(0, comma);
        while (item.starts_with(' ') || item.starts_with('\t')) item.remove_prefix(1);
        while (item.ends_with(' ') || item.ends_with('\t')) item.remove_suffix(1);
        if (lower(item) == name) return true;
        if (comma == std::string_view::npos) break;
        list.remove_prefix(comma + 1);
    }
    return false;
}

}  // namespace

http::Reply refuse(const Gate& gate, unsigned status, std::string why) {
    if (status == 403) ++gate->counts.refusals;
    log::info("gateway refused",
              {{"worker_id", gate->identity.worker_id}, {"status", std::to_string(status)}, {"why", why}});
    http::Reply reply;
    reply.head = http::problem(status, std::move(why));
    return reply;
}

Task<bool> wait_for_run(Gate gate, bool (*known)(const GatewayContext&)) {
    if (known(*gate)) co_return true;
    const auto end = std::chrono::steady_clock::now() + gate->settings->run_wait;
    asio::steady_timer limit(gate->run_announced.get_executor());
    limit.expires_at(end);
    limit.async_wait([gate](boost::system::error_code ec) {
        if (!ec) gate->run_announced.cancel();
    });
    while (!known(*gate) && std::chrono::steady_clock::now() < end)
        co_await gate->run_announced.async_wait(async::use_tuple);
    co_return known(*gate);
}

Task<std::optional<GatewayIdentity>> permitted(Gate gate) {
    const bool told = co_await wait_for_run(gate, [](const GatewayContext& context) { return context.run_told; });
    if (!told) co_return std::nullopt;
    auto worker = gate->identity;
    if (gate->run_commands) worker.actions = contracts::allowed_by_both(worker.actions, *gate->run_commands);
    co_return worker;
}

http::Reply not_told(const Gate& gate) {
    return refuse(gate, 503, "what runs in this worker is not known yet, and so not what it may do; try again");
}

std::string stop_line(const std::string& request_id, const Halt& halted) {
    return boost::json::serialize(
               boost::json::object{{"run", request_id}, {"stop", halted.reason}, {"error", halted.error}}) +
           "\n";
}

void halt(const Gate& gate, std::string reason, std::string why) {
    if (gate->halted) return;
    log::warning("the gateway ends a run", {{"worker_id", gate->identity.worker_id}, {"reason", reason}, {"why", why}});
    gate->halted = Halt{std::move(reason), std::move(why)};
    if (gate->tell && gate->spending.run()) gate->tell(stop_line(*gate->spending.run(), *gate->halted));
}

void provider_failed(const Gate& gate, const std::string& how) {
    if (!gate->patience.failed(std::chrono::steady_clock::now())) return;
    halt(gate, "provider_error",
         fmt::format("the model provider has only failed for {} s, last with: {}",
                     std::chrono::duration_cast<std::chrono::seconds>(gate->settings->provider_patience).count(), how));
}

Task<Result<http::Response>> ask_api(Gate gate, http::Request request) {
    if (gate->token.empty()) {
        asio::steady_timer limit(gate->token_set.get_executor(), gate->settings->token_wait);
        limit.async_wait([gate](boost::system::error_code ec) {
            if (!ec) gate->token_set.cancel();
        });
        co_await gate->token_set.async_wait(async::use_tuple);
        if (gate->token.empty())
            co_return fail(ErrorCategory::transient, "unavailable", "the worker's token is not there yet, try again");
    }
    request.headers.set("Authorization", "Bearer " + gate->token);
    co_return co_await gate->api->send(std::move(request));
}

http::Headers end_to_end(const http::Headers& headers) {
    const auto connection = headers.get("Connection").value_or("");
    http::Headers out;
    for (const auto& field : headers) {
        const auto name = lower(field.name);
        if (std::ranges::find(kDropped, name) == kDropped.end() && !names(connection, name))
            out.add(field.name, field.value);
    }
    return out;
}

}  // namespace codegen::worker_manager
