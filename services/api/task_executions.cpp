#include <fmt/format.h>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/task.hpp"

namespace codegen::api {
namespace {

using contracts::ExecutionStatus;
using contracts::TaskExecution;

constexpr Table kTable{
    .name = "task_executions", .what = "task-execution", .id = Page::Id::text, .write = write_record<TaskExecution>};

// The same id again: the same body is 200; a row that is in_progress takes the end of the same execution, which is how
// a running one becomes finished; anything else is 409.
constexpr std::string_view kOrEnd =
    " ON CONFLICT (id) DO UPDATE SET finished_at = excluded.finished_at, "
    "duration_ms = excluded.duration_ms, exit_code = excluded.exit_code, status = excluded.status, "
    "result_data = excluded.result_data, input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, "
    "cache_read_tokens = excluded.cache_read_tokens, cache_write_tokens = excluded.cache_write_tokens, "
    "cost_usd = excluded.cost_usd, turns = excluded.turns, model = excluded.model, "
    "request_hash = excluded.request_hash WHERE task_executions.status = 'in_progress' "
    "AND excluded.status <> 'in_progress' AND task_executions.worker_id = excluded.worker_id "
    "AND coalesce(task_executions.task_id, '') = coalesce(excluded.task_id, '') RETURNING *";

Task<http::Response> create(const Context* context) {
    auto body = body_of<TaskExecution>(*context);
    if (!body) co_return body.error();
    if (body->task_id) body->task_id = lower_case(*body->task_id);
    body->created_at = Timestamp{};  // the server's own: no part of what the client said
    const auto hash = sha256_hex(json::write(*body));
    auto values = assignments_of(*body);
    values.set("request_hash", hash);
    values.set("created_at", to_micros(context->now));
    auto made = co_await context->database.query(values.insert_into(kTable.name) + std::string(kOrEnd),
                                                 std::move(values.parameters));
    if (!made && made.error().code == "constraint") {
        co_return invalid_field("task_id", fmt::format("no task {}", body->task_id.value_or(""))).error();
    }
    if (!made) co_return problem_of(made.error());
    if (made->rows.empty()) {
        auto repeated = co_await answer_repeated(context, &kTable, body->id, hash);
        co_return repeated;
    }
    const auto& row = made->rows.front();
    co_return json_text(row.integer("created_at") == to_micros(context->now) ? 201 : 200, kTable.write(row));
}

void limit_to_visible_executions(const Caller& caller, Where& where) {
    if (caller.sees_all()) return;
    Where tasks;
    limit_to_visible_tasks(caller, tasks);
    where.add("task_id IN (SELECT id FROM tasks" + tasks.sql() + ")");
    where.parameters.values.insert(tasks.parameters.values.begin(), tasks.parameters.values.end());
}

Task<http::Response> list(const Context* context) {
    Filters filters(*context);
    limit_to_visible_executions(context->caller, filters.where);
    filters.id("task_id").text("worker_id").choice<ExecutionStatus>("status");
    return answer_list(context, &kTable, std::move(filters));
}

Task<http::Response> get(const Context* context) {
    Where where;
    limit_to_visible_executions(context->caller, where);
    return answer_object(context, &kTable, std::move(where), context->param("id"));
}

constexpr std::string_view kReaders = "engineering.status,engineering.wait,deploy.status";
constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/task-executions",
     Access::control,
     "",
     create,
     {.summary = "Note an execution, or the end of one that is in_progress",
      .request = contract("TaskExecution"),
      .response = contract("TaskExecution"),
      .answers = {201, 200, 409}}},
    {"GET",
     "/api/task-executions",
     Access::everyone,
     kReaders,
     list,
     {.summary = "Executions of tasks that the caller may see",
      .response = list_of("TaskExecution"),
      .query = {text("task_id"), text("worker_id"), one_of<ExecutionStatus>("status")},
      .paged = true}},
    {"GET",
     "/api/task-executions/{id}",
     Access::everyone,
     kReaders,
     get,
     {.summary = "One execution", .response = contract("TaskExecution"), .answers = {200, 404}}},
};

}  // namespace

std::span<const RouteSpec> task_execution_routes() { return kRoutes; }

}  // namespace codegen::api
