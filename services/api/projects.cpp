#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "services/api/resource.hpp"
#include "shared/contracts/dto/project.hpp"

namespace codegen::api {
namespace {

using contracts::Project;
using contracts::ProjectCreate;
using contracts::ProjectPatch;
using contracts::ProjectStatus;
using contracts::ServiceModule;

constexpr std::size_t kMostEgressEntries = 200;
constexpr std::size_t kLongestEgress = 300;

std::string modules_text(const std::vector<ServiceModule>& modules) {
    std::vector<std::string> names;
    for (const auto module : modules) names.emplace_back(json::name_of(module));
    return json_list(names);
}

std::vector<ServiceModule> modules_column(const storage::Row& row) {
    std::vector<ServiceModule> modules;
    for (const auto& name : string_list(row.text("modules"))) {
        modules.push_back(json::enum_from<ServiceModule>(name).value());
    }
    return modules;
}

std::string write_project(const storage::Row& row) {
    return json::write(Project{.id = row.text("id"),
                               .name = row.text("name"),
                               .description = row.optional_text("description"),
                               .status = enum_column<ProjectStatus>(row, "status"),
                               .modules = modules_column(row),
                               .repository_url = row.optional_text("repository_url"),
                               .github_repo_id = row.optional_integer("github_repo_id"),
                               .owner_id = row.optional_integer("owner_id"),
                               .config = object_column(row, "config"),
                               .project_spec = optional_object_column(row, "project_spec"),
                               .created_at = time_column(row, "created_at"),
                               .updated_at = time_column(row, "updated_at")});
}

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

http::Response refused(const Error& error, std::optional<std::int64_t> owner) {
    if (error.code == "constraint") {
        return invalid_field("owner_id", fmt::format("no user has the id {}", owner.value_or(0))).error();
    }
    return problem_of(error);
}

storage::Parameters values_of(const ProjectCreate& body, Timestamp now) {
    return {{"name", body.name},
            {"description", body.description},
            {"status", std::string(json::name_of(body.status))},
            {"modules", modules_text(body.modules)},
            {"repository_url", body.repository_url},
            {"github_repo_id", body.github_repo_id},
            {"owner_id", body.owner_id},
            {"config", boost::json::serialize(body.config)},
            {"project_spec", json_of(body.project_spec)},
            {"now", to_micros(now)}};
}

Task<http::Response> create(const Context* context) {
    auto body = body_of<ProjectCreate>(*context);
    if (!body) co_return body.error();
    if (!body->owner_id) body->owner_id = context->caller.user_id;
    if (auto mine = check_owner(context->caller, body->owner_id); !mine) co_return mine.error();
    auto walled = co_await check_egress(context, body->config, std::nullopt);
    if (!walled) co_return walled.error();
    const auto id = id_or_new(body->id);
    body->id = id;
    const auto hash = sha256_hex(json::write(*body));
    auto values = values_of(*body, context->now);
    values.set("id", id);
    values.set("hash", hash);
    auto made = co_await context->database.query(
        "INSERT INTO projects (id, name, description, status, modules, repository_url, github_repo_id, owner_id, "
        "config, "
        "project_spec, request_hash, created_at, updated_at) VALUES (:id, :name, :description, :status, :modules, "
        ":repository_url, :github_repo_id, :owner_id, :config, :project_spec, :hash, :now, :now) RETURNING *",
        std::move(values));
    if (!made && made.error().code == "duplicate") {
        auto repeated = co_await answer_repeated(context, "project", "projects", id, hash, write_project);
        co_return repeated;
    }
    if (!made) co_return refused(made.error(), body->owner_id);
    co_return json_text(201, write_project(made->rows.at(0)));
}

Task<http::Response> list(const Context* context) {
    auto page = Page::parse(context->match);
    if (!page) co_return page.error();
    Where where;
    limit_to_visible_projects(context->caller, where);
    if (auto filtered = filter_number(*context, "owner_id", where); !filtered) co_return filtered.error();
    if (auto filtered = filter_enum<ProjectStatus>(*context, "status", "status", where); !filtered) {
        co_return filtered.error();
    }
    auto select = page->select("*", "projects", std::move(where), Page::Id::text);
    auto rows = co_await context->database.query(std::move(select.sql), std::move(select.parameters));
    if (!rows) co_return problem_of(rows.error());
    co_return page->answer(rows->rows, context->request.target, write_project);
}

Where visible_project(const Context& context) {
    Where where;
    where.equals("id", context.id());
    limit_to_visible_projects(context.caller, where);
    return where;
}

Task<http::Response> get(const Context* context) {
    auto where = visible_project(*context);
    auto rows = co_await context->database.query("SELECT * FROM projects" + where.sql(), where.parameters);
    if (!rows) co_return problem_of(rows.error());
    if (rows->rows.empty()) co_return not_found("project", context->id());
    co_return json_text(200, write_project(rows->rows.front()));
}

// An update of the one visible project; `owner` is what a broken reference names.
Task<http::Response> update(const Context* context, std::string assignments, storage::Parameters values,
                            std::optional<std::int64_t> owner) {
    const auto where = visible_project(*context);
    values.values.insert(where.parameters.values.begin(), where.parameters.values.end());
    auto rows = co_await context->database.query(
        fmt::format("UPDATE projects SET {}{} RETURNING *", assignments, where.sql()), std::move(values));
    if (!rows) co_return refused(rows.error(), owner);
    if (rows->rows.empty()) co_return not_found("project", context->id());
    co_return json_text(200, write_project(rows->rows.front()));
}

// Everything is replaced but the owner, who is kept when the body names none.
Task<http::Response> put(const Context* context) {
    auto body = body_of<ProjectCreate>(*context);
    if (!body) co_return body.error();
    if (body->id && lower_case(*body->id) != context->id()) {
        co_return invalid_field("id", "differs from the id in the path").error();
    }
    if (body->owner_id) {
        if (auto mine = check_owner(context->caller, body->owner_id); !mine) co_return mine.error();
    }
    auto walled = co_await check_egress(context, body->config, context->id());
    if (!walled) co_return walled.error();
    auto answer = co_await update(context,
                                  "name = :name, description = :description, status = :status, modules = :modules, "
                                  "repository_url = :repository_url, github_repo_id = :github_repo_id, "
                                  "owner_id = coalesce(:owner_id, owner_id), config = :config, "
                                  "project_spec = :project_spec, updated_at = :now",
                                  values_of(*body, context->now), body->owner_id);
    co_return answer;
}

Task<http::Response> patch(const Context* context) {
    auto body = body_of<ProjectPatch>(*context);
    if (!body) co_return body.error();
    if (body->owner_id.present) {
        if (auto mine = check_owner(context->caller, body->owner_id.value); !mine) co_return mine.error();
    }
    if (body->config.present) {
        auto walled = co_await check_egress(context, *body->config.value, context->id());
        if (!walled) co_return walled.error();
    }
    Assignments changes;
    if (body->name.present) changes.set("name", *body->name.value);
    if (body->description.present) changes.set("description", body->description.value);
    if (body->status.present) changes.set("status", std::string(json::name_of(*body->status.value)));
    if (body->modules.present) changes.set("modules", modules_text(*body->modules.value));
    if (body->repository_url.present) changes.set("repository_url", body->repository_url.value);
    if (body->github_repo_id.present) changes.set("github_repo_id", body->github_repo_id.value);
    if (body->owner_id.present) changes.set("owner_id", body->owner_id.value);
    if (body->config.present) changes.set("config", boost::json::serialize(*body->config.value));
    if (body->project_spec.present) changes.set("project_spec", json_of(body->project_spec.value));
    changes.set("updated_at", to_micros(context->now));
    auto answer = co_await update(context, std::move(changes.sql), std::move(changes.parameters), body->owner_id.value);
    co_return answer;
}

// Its finished tasks stay, without a project.
Task<http::Response> remove(const Context* context) {
    auto where = visible_project(*context);
    std::vector<storage::Statement> statements;
    statements.push_back({"SELECT id FROM tasks WHERE project_id = :id AND status IN ('queued', 'running') LIMIT 1",
                          {{"id", context->id()}},
                          {}});
    where.add("NOT EXISTS (SELECT 1 FROM tasks WHERE project_id = projects.id AND status IN ('queued', 'running'))");
    statements.push_back({"DELETE FROM projects" + where.sql() + " RETURNING id", where.parameters, {}});
    const auto visible = co_await sees_project(context, context->id());
    if (!visible) co_return visible.error();
    if (!*visible) co_return not_found("project", context->id());
    auto done = co_await context->database.atomically(std::move(statements));
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
