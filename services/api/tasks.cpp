#include <fmt/format.h>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/task.hpp"

namespace codegen::api {
namespace {

using contracts::TaskCreate;
using contracts::TaskPatch;
using contracts::TaskRecord;
using contracts::TaskStatus;
using contracts::TaskType;

constexpr Table kTable{.name = "tasks",
                       .what = "task",
                       .id = Page::Id::text,
                       .write = write_record<TaskRecord>,
                       .reference = "user_id"};  // its project is looked for before

// A token that is bound to actions must allow the command that makes such a task.
std::expected<void, http::Response> check_worker(const Caller& caller, const TaskCreate& body) {
    if (!caller.is_bound()) return {};
    const auto action = std::string(json::name_of(body.type)) + ".start";
    if ((caller.is_worker() && body.type == TaskType::infrastructure) || !permits(caller.actions, action)) {
        return std::unexpected(http::problem(403, fmt::format("this token does not allow {}", action)));
    }
    if (caller.is_worker() && !body.project_id)
        return invalid_field("project_id", "required field is missing: a worker names its project");
    return {};
}

// The workflow writes the answer into this stream, with rights that reach every queue.
std::expected<void, http::Response> check_callback(const Caller& caller, const std::optional<std::string>& stream) {
    if (!stream || caller.sees_all() || caller.kind == contracts::TokenKind::service) return {};
    return std::unexpected(http::problem(403, "only an admin or a service may have the answer written into a stream",
                                         {{"callback_stream", "leave it out; GET /api/tasks/{id} has the result"}}));
}

Task<http::Response> create(const Context* context) {
    auto body = body_of<TaskCreate>(*context);
    if (!body) co_return body.error();
    const Caller& caller = context->caller;
    if (auto allowed = check_callback(caller, body->callback_stream); !allowed) co_return allowed.error();
    if (auto allowed = check_worker(caller, *body); !allowed) co_return allowed.error();
    if (!body->user_id) body->user_id = caller.user_id;
    if (!caller.sees_all() && body->user_id != caller.user_id) {
        co_return http::problem(403, "only an admin may start a task for another user", {{"user_id", "is not you"}});
    }
    if (body->project_id) body->project_id = lower_case(*body->project_id);
    const auto id = id_or_new(body->id);
    body->id = id;
    const auto hash = sha256_hex(json::write(*body));
    if (body->project_id) {
        auto visible = co_await sees_project(context, *body->project_id);
        if (!visible) co_return visible.error();
        if (!*visible) {
            co_return invalid_field("project_id", fmt::format("no project {}", body->project_id->substr(0, 100)))
                .error();
        }
    }
    auto values = assignments_of(*body);
    values.set("status", std::string(json::name_of(TaskStatus::queued)));
    values.set("request_hash", hash);
    values.set("updated_at", to_micros(context->now));
    auto answer = co_await answer_made(context, &kTable, std::move(values), id);
    co_return answer;
}

Task<http::Response> list(const Context* context) {
    Filters filters(*context);
    limit_to_visible_tasks(context->caller, filters.where);
    filters.id("project_id")
        .number("user_id")
        .choice<TaskStatus>("status")
        .choice<TaskType>(context->query("type") ? "type" : "task_type", "type");
    return answer_list(context, &kTable, std::move(filters));
}

Where visible(const Context& context) {
    Where where;
    limit_to_visible_tasks(context.caller, where);
    return where;
}

Task<http::Response> get(const Context* context) {
    return answer_object(context, &kTable, visible(*context), context->id());
}

Assignments changes_of(const TaskPatch& body, Timestamp now) {
    auto changes = assignments_of(body);
    changes.set("updated_at", to_micros(now));
    if (!body.status.present) return changes;
    // The times of the two changes that have one, unless the body says them.
    const auto status = *body.status.value;
    if (status == TaskStatus::running && !body.started_at.present)
        changes.others.emplace_back("started_at = coalesce(started_at, :updated_at)");
    if (contracts::is_final(status) && !body.completed_at.present)
        changes.others.emplace_back("completed_at = coalesce(completed_at, :updated_at)");
    return changes;
}

Task<http::Response> patch(const Context* context) {
    auto body = body_of<TaskPatch>(*context);
    if (!body) co_return body.error();
    if (auto allowed = check_callback(context->caller, body->callback_stream.value); !allowed)
        co_return allowed.error();
    auto where = visible(*context);
    auto named = where;
    named.equals("id", context->id());
    auto found = co_await context->database.query("SELECT status FROM tasks" + named.sql(), named.parameters);
    if (!found) co_return problem_of(found.error());
    if (found->rows.empty()) co_return not_found("task", context->id());
    const auto before = enum_column<TaskStatus>(found->rows.front(), "status");
    if (body->status.present && !contracts::may_follow(before, *body->status.value)) {
        co_return http::problem(409, fmt::format("a task that is {} cannot become {}", json::name_of(before),
                                                 json::name_of(*body->status.value)));
    }
    // Another writer may have changed the status since.
    where.add("status = :status_before");
    where.parameters.set("status_before", std::string(json::name_of(before)));
    auto answer =
        co_await answer_changed(context, &kTable, std::move(where), context->id(), changes_of(*body, context->now));
    if (answer.status == 404) co_return http::problem(409, "the status of the task changed meanwhile; read it again");
    co_return answer;
}

constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/tasks",
     Access::everyone,
     "",
     create,
     {.summary = "Make a task; the message to its queue starts it",
      .request = contract("TaskCreate"),
      .response = contract("TaskRecord"),
      .answers = {201, 200, 409}}},
    {"GET",
     "/api/tasks",
     Access::everyone,
     "project.tasks",
     list,
     {.summary = "Tasks that the caller may see",
      .response = list_of("TaskRecord"),
      .query = {text("project_id"), integer("user_id"), one_of<TaskStatus>("status"), one_of<TaskType>("type"),
                one_of<TaskType>("task_type")},
      .paged = true}},
    {"GET",
     "/api/tasks/{id}",
     Access::everyone,
     "engineering.status,engineering.wait,deploy.status,worker.list,worker.show,worker.logs,worker.exec,worker.delete",
     get,
     {.summary = "One task", .response = contract("TaskRecord"), .answers = {200, 404}}},
    {"PATCH",
     "/api/tasks/{id}",
     Access::member,
     "",
     patch,
     {.summary = "Change some fields of a task",
      .request = contract("TaskPatch"),
      .response = contract("TaskRecord"),
      .answers = {200, 404, 409}}},
};

}  // namespace

std::span<const RouteSpec> task_routes() { return kRoutes; }

}  // namespace codegen::api
