#include <fmt/format.h>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/project.hpp"
#include "shared/http/url.hpp"

namespace codegen::api {
namespace {

using contracts::Project;
using contracts::ProjectCreate;
using contracts::ProjectPatch;
using contracts::ProjectStatus;

constexpr std::size_t kMostEgressEntries = 200;
constexpr std::size_t kLongestEgress = 300;

constexpr Table kTable{.name = "projects",
                       .what = "project",
                       .id = Page::Id::text,
                       .write = write_record<Project>,
                       .reference = "owner_id"};

std::expected<void, http::Response> check_owner(const Caller& caller, std::optional<std::int64_t> owner) {
    if (caller.sees_all() || owner == caller.user_id) return {};
    return std::unexpected(
        http::problem(403, "only an admin may give a project to another user", {{"owner_id", "is not you"}}));
}

// What a project's workers may reach beyond the installation's own list: a hole in their wall, so nobody opens it for
// himself. `id`: the project as it is; the same list again is no change.
Task<std::expected<void, http::Response>> check_egress(const Context* context, boost::json::object config,
                                                       std::optional<std::string> id) {
    constexpr std::string_view kPath = "config.egress_allow";
    const auto* wanted = config.if_contains("egress_allow");
    if (!wanted) co_return std::expected<void, http::Response>{};
    const auto* list = wanted->if_array();
    if (!list || list->size() > kMostEgressEntries) {
        co_return invalid_field(std::string(kPath),
                                fmt::format("expected an array of at most {} host:port patterns", kMostEgressEntries));
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
        const auto* text = list->at(i).if_string();
        if (!text || text->find(':') == text->npos || text->find(',') != text->npos || text->size() > kLongestEgress) {
            co_return invalid_field(fmt::format("{}[{}]", kPath, i), "expected host:port, *.domain:port or *:port");
        }
    }
    if (context->caller.sees_all()) co_return std::expected<void, http::Response>{};
    if (id) {
        auto rows = co_await context->database.query("SELECT config FROM projects WHERE id = :id", {{"id", *id}});
        if (!rows) co_return std::unexpected(problem_of(rows.error()));
        if (rows->rows.empty()) co_return std::expected<void, http::Response>{};  // 404 comes by itself
        const auto stored = object_column(rows->rows.front(), "config");
        const auto* now = stored.if_contains("egress_allow");
        if (now && *now == *wanted) co_return std::expected<void, http::Response>{};
    }
    co_return std::unexpected(http::problem(403, "only an admin may say which hosts a project's workers reach",
                                            {{std::string(kPath), "is not what it was"}}));
}

// Code is fetched with the installation's own rights, which reach further than the owner's - to another project's
// repository here, to another server: a user may leave it as it is or name none. `id`: as above.
Task<std::expected<void, http::Response>> check_repository(const Context* context, std::optional<std::string> url,
                                                           std::optional<std::string> id) {
    if (!url || context->caller.sees_all()) co_return std::expected<void, http::Response>{};
    if (id) {
        auto rows =
            co_await context->database.query("SELECT repository_url FROM projects WHERE id = :id", {{"id", *id}});
        if (!rows) co_return std::unexpected(problem_of(rows.error()));
        if (rows->rows.empty()) co_return std::expected<void, http::Response>{};  // 404 comes by itself
        if (rows->rows.front().optional_text("repository_url") == url) co_return std::expected<void, http::Response>{};
    }
    co_return std::unexpected(http::problem(403, "only an admin may say where a project's code is",
                                            {{"repository_url", "is not what it was"}}));
}

// An external template is fetched by the control plane: asked for by an agent, it would be a way through its wall.
std::expected<void, http::Response> check_template(const Caller& caller, const boost::json::object& config) {
    const auto* wanted = config.if_contains("template");
    const auto* name = wanted ? wanted->if_string() : nullptr;
    if (!caller.is_worker() || !name || name->find_first_of("/:@") == name->npos) return {};
    return std::unexpected(http::problem(403, "an agent may begin a project with our own templates only",
                                         {{"config.template", "is a template from elsewhere: a person may name it"}}));
}

// What is fetched from there is asked for with the installation's own rights; a token in the address would be stored.
std::expected<void, http::Response> check_places(const boost::json::object& config,
                                                 const std::optional<std::string>& repository_url) {
    constexpr auto kWhy = "holds a user or a password: it would be stored and logged; leave it out";
    const auto* wanted = config.if_contains("template");
    const auto* name = wanted ? wanted->if_string() : nullptr;
    if (name && http::holds_credentials(*name)) return invalid_field("config.template", kWhy);
    if (repository_url && http::holds_credentials(*repository_url)) return invalid_field("repository_url", kWhy);
    return {};
}

Task<http::Response> create(const Context* context) {
    auto body = body_of<ProjectCreate>(*context);
    if (!body) co_return body.error();
    if (auto clean = check_places(body->config, body->repository_url); !clean) co_return clean.error();
    if (auto ours = check_template(context->caller, body->config); !ours) co_return ours.error();
    if (!body->owner_id) body->owner_id = context->caller.user_id;
    if (auto mine = check_owner(context->caller, body->owner_id); !mine) co_return mine.error();
    auto walled = co_await check_egress(context, body->config, std::nullopt);
    if (!walled) co_return walled.error();
    auto placed = co_await check_repository(context, body->repository_url, body->id);
    if (!placed) co_return placed.error();
    const auto id = id_or_new(body->id);
    body->id = id;
    const auto hash = sha256_hex(json::write(*body));
    auto values = assignments_of(*body);
    values.set("request_hash", hash);
    values.set("updated_at", to_micros(context->now));
    auto answer = co_await answer_made(context, &kTable, std::move(values), id);
    co_return answer;
}

Task<http::Response> list(const Context* context) {
    Filters filters(*context);
    limit_to_visible_projects(context->caller, filters.where);
    filters.number("owner_id").choice<ProjectStatus>("status");
    return answer_list(context, &kTable, std::move(filters));
}

Where visible(const Context& context) {
    Where where;
    limit_to_visible_projects(context.caller, where);
    return where;
}

Task<http::Response> get(const Context* context) {
    return answer_object(context, &kTable, visible(*context), context->id());
}

// Everything is replaced but the owner, who is kept when the body names none.
Task<http::Response> put(const Context* context) {
    auto body = body_of<ProjectCreate>(*context);
    if (!body) co_return body.error();
    if (body->id && lower_case(*body->id) != context->id()) {
        co_return invalid_field("id", "differs from the id in the path").error();
    }
    if (auto clean = check_places(body->config, body->repository_url); !clean) co_return clean.error();
    if (body->owner_id) {
        if (auto mine = check_owner(context->caller, body->owner_id); !mine) co_return mine.error();
    }
    auto walled = co_await check_egress(context, body->config, context->id());
    if (!walled) co_return walled.error();
    auto placed = co_await check_repository(context, body->repository_url, context->id());
    if (!placed) co_return placed.error();
    body->id = context->id();
    auto changes = assignments_of(*body);
    if (!body->owner_id) changes.drop("owner_id");
    changes.set("updated_at", to_micros(context->now));
    auto answer = co_await answer_changed(context, &kTable, visible(*context), context->id(), std::move(changes));
    co_return answer;
}

Task<http::Response> patch(const Context* context) {
    auto body = body_of<ProjectPatch>(*context);
    if (!body) co_return body.error();
    auto clean = check_places(body->config.value.value_or(boost::json::object()), body->repository_url.value);
    if (!clean) co_return clean.error();
    if (body->owner_id.present) {
        if (auto mine = check_owner(context->caller, body->owner_id.value); !mine) co_return mine.error();
    }
    if (body->config.present) {
        auto walled = co_await check_egress(context, *body->config.value, context->id());
        if (!walled) co_return walled.error();
    }
    auto placed = co_await check_repository(context, body->repository_url.value, context->id());
    if (!placed) co_return placed.error();
    auto changes = assignments_of(*body);
    changes.set("updated_at", to_micros(context->now));
    auto answer = co_await answer_changed(context, &kTable, visible(*context), context->id(), std::move(changes));
    co_return answer;
}

// Its finished tasks stay, without a project.
Task<http::Response> remove(const Context* context) {
    auto where = visible(*context);
    where.equals("id", context->id());
    std::vector<storage::Statement> statements;
    statements.push_back({"SELECT id FROM tasks WHERE project_id = :id AND status IN ('queued', 'running') LIMIT 1",
                          {{"id", context->id()}},
                          {}});
    where.add("NOT EXISTS (SELECT 1 FROM tasks WHERE project_id = projects.id AND status IN ('queued', 'running'))");
    statements.push_back({"DELETE FROM projects" + where.sql() + " RETURNING id", where.parameters, {}});
    const auto seen = co_await sees_project(context, context->id());
    if (!seen) co_return seen.error();
    if (!*seen) co_return not_found("project", context->id());
    auto done = co_await context->database.atomically(std::move(statements));
    if (!done && done.error().code == "constraint")
        co_return http::problem(409, "services of this project are still deployed; remove their service-deployments");
    if (!done) co_return problem_of(done.error());
    if (!done->at(0).rows.empty()) {
        co_return http::problem(409, fmt::format("task {} of this project is not finished; cancel it first",
                                                 done->at(0).rows.front().text("id")));
    }
    http::Response response;
    response.status = 204;
    co_return response;
}

constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/projects",
     Access::everyone,
     "project.create",
     create,
     {.summary = "Make a project",
      .request = contract("ProjectCreate"),
      .response = contract("Project"),
      .answers = {201, 200, 409}}},
    {"GET",
     "/api/projects",
     Access::everyone,
     "project.list",
     list,
     {.summary = "Projects that the caller may see",
      .response = list_of("Project"),
      .query = {integer("owner_id"), one_of<ProjectStatus>("status")},
      .paged = true}},
    {"GET",
     "/api/projects/{id}",
     Access::everyone,
     "project.get",
     get,
     {.summary = "One project", .response = contract("Project"), .answers = {200, 404}}},
    {"PUT",
     "/api/projects/{id}",
     Access::member,
     "",
     put,
     {.summary = "Replace a project, but its owner when the body names none",
      .request = contract("ProjectCreate"),
      .response = contract("Project"),
      .answers = {200, 404}}},
    {"PATCH",
     "/api/projects/{id}",
     Access::member,
     "",
     patch,
     {.summary = "Change some fields of a project",
      .request = contract("ProjectPatch"),
      .response = contract("Project"),
      .answers = {200, 404}}},
    {"DELETE",
     "/api/projects/{id}",
     Access::member,
     "",
     remove,
     {.summary = "Delete a project without unfinished tasks; its other tasks stay", .answers = {204, 404, 409}}},
};

}  // namespace

std::span<const RouteSpec> project_routes() { return kRoutes; }

}  // namespace codegen::api
