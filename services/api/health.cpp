#include <fmt/format.h>

#include "services/api/resource.hpp"
#include "shared/contracts/dto/problem.hpp"
#include "shared/logging/log.hpp"
#include "shared/metrics/metrics.hpp"

namespace codegen::api {
namespace {

constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

Task<http::Response> health(const Context* context) {
    auto probe = co_await context->database.query("SELECT count(*) AS n FROM users WHERE id = 1");
    if (!probe) log::error("health: the database does not answer", {{"error", probe.error().message}});
    const contracts::Health health{.status = probe ? "ok" : "the database does not answer",
                                   .database = probe.has_value(),
                                   .version = CODEGEN_VERSION,
                                   .uptime_seconds = context->metrics.uptime().count()};
    co_return json_text(probe ? 200 : 503, json::write(health));
}

Task<http::Response> figures(const Context* context) {
    http::Response response;
    response.headers.set("Content-Type", std::string(kMetricsType));
    response.body = context->metrics.text() + codegen::metrics::text();
    co_return response;
}

constexpr RouteContract kHealth{
    .summary = "Is the API there, with its database?", .response = contract("Health"), .answers = {200, 503}};
constexpr RouteSpec kRoutes[] = {
    {"GET", "/health", Access::open, "", health, kHealth},
    {"GET", "/api/health", Access::open, "", health, kHealth},
    {"GET",
     "/metrics",
     Access::loopback,
     "",
     figures,
     {.summary = "Figures for Prometheus", .media_type = kMetricsType}},
};

}  // namespace

std::span<const RouteSpec> health_routes() { return kRoutes; }

void Metrics::count(std::string method, std::string route, unsigned status) {
    ++requests_[{std::move(method), std::move(route), status}];
}

std::chrono::duration<double> Metrics::uptime() const { return std::chrono::steady_clock::now() - started_; }

std::string Metrics::text() const {
    std::string text = fmt::format(
        "# HELP codegen_build_info The version that runs.\n# TYPE codegen_build_info gauge\n"
        "codegen_build_info{{version=\"{}\"}} 1\n"
        "# HELP codegen_uptime_seconds Since the api started.\n# TYPE codegen_uptime_seconds gauge\n"
        "codegen_uptime_seconds {:.3f}\n"
        "# HELP codegen_http_requests_total Answered requests.\n# TYPE codegen_http_requests_total counter\n",
        CODEGEN_VERSION, uptime().count());
    for (const auto& [key, count] : requests_) {
        const auto& [method, route, status] = key;
        text += fmt::format("codegen_http_requests_total{{method=\"{}\",route=\"{}\",status=\"{}\"}} {}\n", method,
                            route, status, count);
    }
    return text;
}

}  // namespace codegen::api
