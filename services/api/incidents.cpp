// /api/incidents: what went wrong with a server.
#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/infrastructure.hpp"

namespace codegen::api {

constinit const Table kIncidents{.name = "incidents",
                                 .what = "incident",
                                 .id = Page::Id::number,
                                 .write = write_record<contracts::Incident>,
                                 .reference = "server_handle"};

namespace {

using contracts::IncidentStatus;

Where visible(const Context& context) {
    Where where;
    limit_to_visible_servers(context.caller, "server_handle", where);
    return where;
}

Task<http::Response> create(const Context* context) {
    auto body = body_of<contracts::IncidentCreate>(*context);
    if (!body) co_return body.error();
    if (!body->detected_at) body->detected_at = context->now;
    auto values = assignments_of(*body);
    values.set("recovery_attempts", std::int64_t{0});
    auto answer = co_await answer_made(context, &kIncidents, std::move(values), "");
    co_return answer;
}

Filters filters_of(const Context& context) {
    Filters filters(context);
    filters.where = visible(context);
    filters.text("server_handle");
    return filters;
}

Task<http::Response> list(const Context* context) {
    auto filters = filters_of(*context);
    filters.choice<IncidentStatus>("status");
    return answer_list(context, &kIncidents, std::move(filters));
}

Task<http::Response> active(const Context* context) {
    auto filters = filters_of(*context);
    filters.where.add("status IN ('detected', 'recovering')");
    return answer_list(context, &kIncidents, std::move(filters));
}

Task<http::Response> get(const Context* context) {
    return answer_object(context, &kIncidents, visible(*context), context->param("id"));
}

// `resolved_at` is set with the status unless the body says it.
Task<http::Response> patch(const Context* context) {
    auto body = body_of<contracts::IncidentPatch>(*context);
    if (!body) co_return body.error();
    auto changes = assignments_of(*body);
    if (body->status.value == IncidentStatus::resolved && !body->resolved_at.present) {
        changes.others.emplace_back("resolved_at = coalesce(resolved_at, :resolved_now)");
        changes.parameters.set("resolved_now", to_micros(context->now));
    }
    auto answer =
        co_await answer_changed(context, &kIncidents, visible(*context), context->param("id"), std::move(changes));
    co_return answer;
}

constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/incidents",
     Access::control,
     "",
     create,
     {.summary = "Report an incident",
      .request = contract("IncidentCreate"),
      .response = contract("Incident"),
      .answers = {201}}},
    {"GET",
     "/api/incidents",
     Access::everyone,
     "infra.incidents",
     list,
     {.summary = "Incidents of servers that the caller may see",
      .response = list_of("Incident"),
      .query = {text("server_handle"), one_of<IncidentStatus>("status")},
      .paged = true}},
    {"GET",
     "/api/incidents/active",
     Access::everyone,
     "infra.incidents",
     active,
     {.summary = "Those that are detected or recovering",
      .response = list_of("Incident"),
      .query = {text("server_handle")},
      .paged = true}},
    {"GET",
     "/api/incidents/{id}",
     Access::everyone,
     "infra.incidents",
     get,
     {.summary = "One incident", .response = contract("Incident"), .answers = {200, 404}}},
    {"PATCH",
     "/api/incidents/{id}",
     Access::control,
     "",
     patch,
     {.summary = "Change some fields of an incident",
      .request = contract("IncidentPatch"),
      .response = contract("Incident"),
      .answers = {200, 404}}},
};

}  // namespace

std::span<const RouteSpec> incident_routes() { return kRoutes; }

}  // namespace codegen::api
