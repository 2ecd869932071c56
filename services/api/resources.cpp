// /api/resources: handles and names of things outside, never a secret value.
#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/settings.hpp"

namespace codegen::api {
namespace {

constexpr Table kTable{.name = "resources",
                       .what = "resource",
                       .id = Page::Id::text,
                       .write = write_record<contracts::Resource>,
                       .key = "handle"};

Task<http::Response> create(const Context* context) {
    auto body = body_of<contracts::Resource>(*context);
    if (!body) co_return body.error();
    auto values = assignments_of(*body);
    values.set("request_hash", sha256_hex(json::write(*body)));
    auto answer = co_await answer_made(context, &kTable, std::move(values), body->handle);
    co_return answer;
}

Task<http::Response> list(const Context* context) {
    Filters filters(*context);
    filters.text("resource_type");
    return answer_list(context, &kTable, std::move(filters));
}

Task<http::Response> get(const Context* context) {
    return answer_object(context, &kTable, Where(), context->param("handle"));
}

constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/resources",
     Access::control,
     "",
     create,
     {.summary = "Add a resource",
      .request = contract("Resource"),
      .response = contract("Resource"),
      .answers = {201, 200, 409}}},
    {"GET",
     "/api/resources",
     Access::member,
     "",
     list,
     {.summary = "Things outside, by handle; never a secret",
      .response = list_of("Resource"),
      .query = {text("resource_type")},
      .paged = true}},
    {"GET",
     "/api/resources/{handle}",
     Access::member,
     "",
     get,
     {.summary = "One resource", .response = contract("Resource"), .answers = {200, 404}}},
};

}  // namespace

std::span<const RouteSpec> resource_routes() { return kRoutes; }

}  // namespace codegen::api
