// /api/service-deployments: what runs where.
#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/service_deployment.hpp"

namespace codegen::api {

constinit const Table kServiceDeployments{.name = "service_deployments",
                                          .what = "service-deployment",
                                          .id = Page::Id::number,
                                          .write = write_record<contracts::ServiceDeployment>,
                                          .reference = "server_handle"};  // its project is looked for before

namespace {

using contracts::DeploymentStatus;

Where visible(const Context& context) {
    Where where;
    limit_to_own_projects(context.caller, "project_id", where);
    return where;
}

Task<http::Response> create(const Context* context) {
    auto body = body_of<contracts::ServiceDeploymentCreate>(*context);
    if (!body) co_return body.error();
    body->project_id = lower_case(body->project_id);
    if (!body->deployed_at) body->deployed_at = context->now;
    auto known = co_await sees_project(context, body->project_id);
    if (!known) co_return known.error();
    if (!*known) co_return invalid_field("project_id", "no project has this id").error();
    auto answer = co_await answer_made(context, &kServiceDeployments, assignments_of(*body), "");
    co_return answer;
}

Task<http::Response> list(const Context* context) {
    Filters filters(*context);
    filters.where = visible(*context);
    filters.id("project_id").text("server_handle").choice<DeploymentStatus>("status");
    return answer_list(context, &kServiceDeployments, std::move(filters));
}

Task<http::Response> get(const Context* context) {
    return answer_object(context, &kServiceDeployments, visible(*context), context->param("id"));
}

Task<http::Response> patch(const Context* context) {
    auto body = body_of<contracts::ServiceDeploymentPatch>(*context);
    if (!body) co_return body.error();
    auto answer = co_await answer_changed(context, &kServiceDeployments, visible(*context), context->param("id"),
                                          assignments_of(*body));
    co_return answer;
}

Task<http::Response> remove(const Context* context) {
    return answer_removed(context, &kServiceDeployments, visible(*context), context->param("id"));
}

constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/service-deployments",
     Access::control,
     "",
     create,
     {.summary = "Note that a service is deployed",
      .request = contract("ServiceDeploymentCreate"),
      .response = contract("ServiceDeployment"),
      .answers = {201}}},
    {"GET",
     "/api/service-deployments",
     Access::everyone,
     "infra.servers",
     list,
     {.summary = "What the caller's projects have deployed",
      .response = list_of("ServiceDeployment"),
      .query = {text("project_id"), text("server_handle"), one_of<DeploymentStatus>("status")},
      .paged = true}},
    {"GET",
     "/api/service-deployments/{id}",
     Access::everyone,
     "infra.servers",
     get,
     {.summary = "One of them", .response = contract("ServiceDeployment"), .answers = {200, 404}}},
    {"PATCH",
     "/api/service-deployments/{id}",
     Access::control,
     "",
     patch,
     {.summary = "Change some fields",
      .request = contract("ServiceDeploymentPatch"),
      .response = contract("ServiceDeployment"),
      .answers = {200, 404}}},
    {"DELETE",
     "/api/service-deployments/{id}",
     Access::control,
     "",
     remove,
     {.summary = "Forget it", .answers = {204, 404}}},
};

}  // namespace

std::span<const RouteSpec> service_deployment_routes() { return kRoutes; }

}  // namespace codegen::api
