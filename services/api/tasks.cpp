#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "services/api/resource.hpp"
#include "shared/contracts/dto/task.hpp"

namespace codegen::api {
namespace {

using contracts::TaskCreate;
using contracts::TaskPatch;
using contracts::TaskRecord;
using contracts::TaskStatus;
using contracts::TaskType;

std::string write_task(const storage::Row& row) {
    return json::write(TaskRecord{.id = row.text("id"),
                                  .project_id = row.optional_text("project_id"),
                                  .type = enum_column<TaskType>(row, "type"),
                                  .status = enum_column<TaskStatus>(row, "status"),
                                  .spec = row.optional_text("spec"),
                                  .task_metadata = object_column(row, "task_metadata"),
                                  .result = optional_object_column(row, "result"),
                                  .error_message = row.optional_text("error_message"),
                                  .user_id = row.optional_integer("user_id"),
                                  .callback_stream = row.optional_text("callback_stream"),
                                  .started_at = optional_time_column(row, "started_at"),
                                  .completed_at = optional_time_column(row, "completed_at"),
                                  .created_at = time_column(row, "created_at"),
                                  .updated_at = time_column(row, "updated_at")});
}

// A worker's token must allow the command that makes such a task.
std::expected<void, http::Response> check_worker(const Caller& caller, const TaskCreate& body) {
    if (!caller.is_worker()) return {};
    const auto action = std::string(json::name_of(body.type)) + ".start";
    if (body.type == TaskType::infrastructure || !permits(caller.actions, action)) {
        return std::unexpected(http::problem(403, fmt::format("the token of this worker does not allow {}", action)));
    }
    if (!body.project_id) return invalid_field("project_id", "required field is missing: a worker names its project");
    return {};
}

Task<http::Response> create(const Context* context) {
    auto body = body_of<TaskCreate>(*context);
    if (!body) co_return body.error();
    const Caller& caller = context->caller;
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
    auto made = co_await context->database.query(
        "INSERT INTO tasks (id, project_id, type, status, spec, task_metadata, user_id, callback_stream, request_hash, "
        "created_at, updated_at) VALUES (:id, :project_id, :type, 'queued', :spec, :task_metadata, :user_id, "
        ":callback_stream, :hash, :now, :now) RETURNING *",
        {{"id", id},
         {"project_id", body->project_id},
         {"type", std::string(json::name_of(body->type))},
         {"spec", body->spec},
         {"task_metadata", boost::json::serialize(body->task_metadata)},
         {"user_id", body->user_id},
         {"callback_stream", body->callback_stream},
         {"hash", hash},
         {"now", to_micros(context->now)}});
    if (!made && made.error().code == "duplicate") {
        auto repeated = co_await answer_repeated(context, "task", "tasks", id, hash, write_task);
        co_return repeated;
    }
    if (!made && made.error().code == "constraint") {  // the project was found above
        co_return invalid_field("user_id", fmt::format("no user has the id {}", body->user_id.value_or(0))).error();
    }
    if (!made) co_return problem_of(made.error());
    co_return json_text(201, write_task(made->rows.at(0)));
}

Task<http::Response> list(const Context* context) {
    auto page = Page::parse(context->match);
    if (!page) co_return page.error();
    Where where;
    limit_to_visible_tasks(context->caller, where);
    filter_text(*context, "project_id", where);
    if (auto filtered = filter_number(*context, "user_id", where); !filtered) co_return filtered.error();
    if (auto filtered = filter_enum<TaskStatus>(*context, "status", "status", where); !filtered) {
        co_return filtered.error();
    }
    const auto* name = context->query("type") ? "type" : "task_type";
    if (auto filtered = filter_enum<TaskType>(*context, name, "type", where); !filtered) co_return filtered.error();
    auto select = page->select("*", "tasks", std::move(where), Page::Id::text);
    auto rows = co_await context->database.query(std::move(select.sql), std::move(select.parameters));
    if (!rows) co_return problem_of(rows.error());
    co_return page->answer(rows->rows, context->request.target, write_task);
}

Where visible_task(const Context& context) {
    Where where;
    where.equals("id", context.id());
    limit_to_visible_tasks(context.caller, where);
    return where;
}

Task<http::Response> get(const Context* context) {
    auto where = visible_task(*context);
    auto rows = co_await context->database.query("SELECT * FROM tasks" + where.sql(), where.parameters);
    if (!rows) co_return problem_of(rows.error());
    if (rows->rows.empty()) co_return not_found("task", context->id());
    co_return json_text(200, write_task(rows->rows.front()));
}

Assignments changes_of(const TaskPatch& body, Timestamp now) {
    Assignments changes;
    if (body.spec.present) changes.set("spec", body.spec.value);
    if (body.task_metadata.present) changes.set("task_metadata", boost::json::serialize(*body.task_metadata.value));
    if (body.result.present) changes.set("result", json_of(body.result.value));
    if (body.error_message.present) changes.set("error_message", body.error_message.value);
    if (body.callback_stream.present) changes.set("callback_stream", body.callback_stream.value);
    if (body.started_at.present) changes.set("started_at", micros_of(body.started_at.value));
    if (body.completed_at.present) changes.set("completed_at", micros_of(body.completed_at.value));
    changes.set("updated_at", to_micros(now));
    if (body.status.present) {
        const auto status = *body.status.value;
        changes.set("status", std::string(json::name_of(status)));
        // The times of the two changes that have one, unless the body says them.
        if (status == TaskStatus::running && !body.started_at.present) {
            changes.sql += ", started_at = coalesce(started_at, :updated_at)";
        }
        if (contracts::is_final(status) && !body.completed_at.present) {
            changes.sql += ", completed_at = coalesce(completed_at, :updated_at)";
        }
    }
    return changes;
}

Task<http::Response> patch(const Context* context) {
    auto body = body_of<TaskPatch>(*context);
    if (!body) co_return body.error();
    auto where = visible_task(*context);
    auto found = co_await context->database.query("SELECT status FROM tasks" + where.sql(), where.parameters);
    if (!found) co_return problem_of(found.error());
    if (found->rows.empty()) co_return not_found("task", context->id());
    const auto before = enum_column<TaskStatus>(found->rows.front(), "status");
    if (body->status.present && !contracts::may_follow(before, *body->status.value)) {
        co_return http::problem(409, fmt::format("a task that is {} cannot become {}", json::name_of(before),
                                                 json::name_of(*body->status.value)));
    }
    auto changes = changes_of(*body, context->now);
    // Another writer may have changed the status since.
    where.add("status = :status_before");
    where.parameters.set("status_before", std::string(json::name_of(before)));
    changes.parameters.values.insert(where.parameters.values.begin(), where.parameters.values.end());
    auto rows = co_await context->database.query(
        fmt::format("UPDATE tasks SET {}{} RETURNING *", changes.sql, where.sql()), std::move(changes.parameters));
    if (!rows) co_return problem_of(rows.error());
    if (rows->rows.empty()) co_return http::problem(409, "the status of the task changed meanwhile; read it again");
    co_return json_text(200, write_task(rows->rows.front()));
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
     "engineering.status,engineering.wait,deploy.status",
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
