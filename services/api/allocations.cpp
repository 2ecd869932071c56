// /api/allocations: the ports of servers that are taken. POST /api/servers/{handle}/ports takes one.
#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/infrastructure.hpp"

namespace codegen::api {

constinit const Table kAllocations{.name = "allocations",
                                   .what = "allocation",
                                   .id = Page::Id::number,
                                   .write = write_record<contracts::Allocation>,
                                   .reference = "project_id"};

namespace {

Where visible(const Context& context) {
    Where where;
    limit_to_own_projects(context.caller, "project_id", where);
    return where;
}

Task<http::Response> list(const Context* context) {
    Filters filters(*context);
    filters.where = visible(*context);
    filters.text("server_handle").id("project_id");
    return answer_list(context, &kAllocations, std::move(filters));
}

Task<http::Response> get(const Context* context) {
    return answer_object(context, &kAllocations, visible(*context), context->param("id"));
}

Task<http::Response> remove(const Context* context) {
    return answer_removed(context, &kAllocations, visible(*context), context->param("id"));
}

constexpr RouteSpec kRoutes[] = {
    {"GET",
     "/api/allocations",
     Access::everyone,
     "infra.servers",
     list,
     {.summary = "Ports that are taken",
      .response = list_of("Allocation"),
      .query = {text("server_handle"), text("project_id")},
      .paged = true}},
    {"GET",
     "/api/allocations/{id}",
     Access::everyone,
     "infra.servers",
     get,
     {.summary = "One allocation", .response = contract("Allocation"), .answers = {200, 404}}},
    {"DELETE",
     "/api/allocations/{id}",
     Access::control,
     "",
     remove,
     {.summary = "Give a port back", .answers = {204, 404}}},
};

}  // namespace

std::span<const RouteSpec> allocation_routes() { return kRoutes; }

}  // namespace codegen::api
