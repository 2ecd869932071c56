// /openapi.json and /docs, made once; and the list of all routes they are made of.
#include "services/api/openapi.hpp"
#include "services/api/resource.hpp"
#include "services/api/service.hpp"
#include "shared/contracts/schema.hpp"

namespace codegen::api {
namespace {

constexpr std::string_view kHtml = "text/html; charset=utf-8";

Task<http::Response> document(const Context*) {
    static const std::string text = openapi_document();
    co_return json_text(200, text);
}

Task<http::Response> page(const Context*) {
    static const std::string text = docs_page(openapi(all_routes()));
    http::Response response;
    response.headers.set("Content-Type", std::string(kHtml));
    response.headers.set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
    response.body = text;
    co_return response;
}

constexpr RouteSpec kRoutes[] = {
    {"GET", "/openapi.json", Access::open, "", document, {.summary = "This document, OpenAPI 3.1"}},
    {"GET", "/docs", Access::open, "", page, {.summary = "The same for people", .media_type = kHtml}},
};

}  // namespace

std::span<const RouteSpec> document_routes() { return kRoutes; }

std::string openapi_document() { return contracts::pretty(openapi(all_routes())); }

std::vector<const RouteSpec*> all_routes() {
    std::vector<const RouteSpec*> all;
    for (const auto routes :
         {user_routes(), project_routes(), task_routes(), task_execution_routes(), token_routes(), host_routes(),
          available_model_routes(), server_routes(), allocation_routes(), incident_routes(),
          service_deployment_routes(), agent_config_routes(), api_key_routes(), resource_routes(),
          pending_message_routes(), rag_routes(), health_routes(), document_routes()})
        for (const auto& spec : routes) all.push_back(&spec);
    return all;
}

}  // namespace codegen::api
