#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "services/api/resource.hpp"
#include "shared/contracts/dto/task.hpp"

namespace codegen::api {
namespace {

using contracts::ExecutionStatus;
using contracts::TaskExecution;

std::optional<double> optional_real(const storage::Row& row, std::string_view column) {
    if (row.is_null(column)) return std::nullopt;
    return row.real(column);
}

std::string write_execution(const storage::Row& row) {
    return json::write(TaskExecution{.id = row.text("id"),
                                     .task_id = row.optional_text("task_id"),
                                     .worker_id = row.text("worker_id"),
                                     .started_at = time_column(row, "started_at"),
                                     .finished_at = optional_time_column(row, "finished_at"),
                                     .duration_ms = row.optional_integer("duration_ms"),
                                     .exit_code = row.optional_integer("exit_code"),
                                     .status = enum_column<ExecutionStatus>(row, "status"),
                                     .result_data = optional_object_column(row, "result_data"),
                                     .input_tokens = row.optional_integer("input_tokens"),
                                     .output_tokens = row.optional_integer("output_tokens"),
                                     .cache_read_tokens = row.optional_integer("cache_read_tokens"),
                                     .cache_write_tokens = row.optional_integer("cache_write_tokens"),
                                     .cost_usd = optional_real(row, "cost_usd"),
                                     .turns = row.optional_integer("turns"),
                                     .model = row.optional_text("model"),
                                     .created_at = time_column(row, "created_at")});
}

// The same id again: the same body is 200; a row that is in_progress takes the end of the same execution, which is how
// a running one becomes finished; anything else is 409.
constexpr std::string_view kInsert =
    "INSERT INTO task_executions (id, task_id, worker_id, started_at, finished_at, duration_ms, exit_code, status, "
    "result_data, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_usd, turns, model, "
    "request_hash, created_at) VALUES (:id, :task_id, :worker_id, :started_at, :finished_at, :duration_ms, :exit_code, "
    ":status, :result_data, :input_tokens, :output_tokens, :cache_read_tokens, :cache_write_tokens, :cost_usd, :turns, "
    ":model, :hash, :now) ON CONFLICT (id) DO UPDATE SET finished_at = excluded.finished_at, "
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
    auto made =
        co_await context->database.query(std::string(kInsert), {{"id", body->id},
                                                                {"task_id", body->task_id},
                                                                {"worker_id", body->worker_id},
                                                                {"started_at", to_micros(body->started_at)},
                                                                {"finished_at", micros_of(body->finished_at)},
                                                                {"duration_ms", body->duration_ms},
                                                                {"exit_code", body->exit_code},
                                                                {"status", std::string(json::name_of(body->status))},
                                                                {"result_data", json_of(body->result_data)},
                                                                {"input_tokens", body->input_tokens},
                                                                {"output_tokens", body->output_tokens},
                                                                {"cache_read_tokens", body->cache_read_tokens},
                                                                {"cache_write_tokens", body->cache_write_tokens},
                                                                {"cost_usd", body->cost_usd},
                                                                {"turns", body->turns},
                                                                {"model", body->model},
                                                                {"hash", hash},
                                                                {"now", to_micros(context->now)}});
    if (!made && made.error().code == "constraint") {
        co_return invalid_field("task_id", fmt::format("no task {}", body->task_id.value_or(""))).error();
    }
    if (!made) co_return problem_of(made.error());
    if (made->rows.empty()) {
        auto repeated =
            co_await answer_repeated(context, "task-execution", "task_executions", body->id, hash, write_execution);
        co_return repeated;
    }
    const auto& row = made->rows.front();
    co_return json_text(row.integer("created_at") == to_micros(context->now) ? 201 : 200, write_execution(row));
}

void limit_to_visible_executions(const Caller& caller, Where& where) {
    if (caller.sees_all()) return;
    Where tasks;
    limit_to_visible_tasks(caller, tasks);
    where.add("task_id IN (SELECT id FROM tasks" + tasks.sql() + ")");
    where.parameters.values.insert(tasks.parameters.values.begin(), tasks.parameters.values.end());
}

Task<http::Response> list(const Context* context) {
    auto page = Page::parse(context->match);
    if (!page) co_return page.error();
    Where where;
    limit_to_visible_executions(context->caller, where);
    filter_text(*context, "task_id", where);
    filter_text(*context, "worker_id", where);
    if (auto filtered = filter_enum<ExecutionStatus>(*context, "status", "status", where); !filtered) {
        co_return filtered.error();
    }
    auto select = page->select("*", "task_executions", std::move(where), Page::Id::text);
    auto rows = co_await context->database.query(std::move(select.sql), std::move(select.parameters));
    if (!rows) co_return problem_of(rows.error());
    co_return page->answer(rows->rows, context->request.target, write_execution);
}

Task<http::Response> get(const Context* context) {
    Where where;
    where.equals("id", context->param("id"));
    limit_to_visible_executions(context->caller, where);
    auto rows = co_await context->database.query("SELECT * FROM task_executions" + where.sql(), where.parameters);
    if (!rows) co_return problem_of(rows.error());
    if (rows->rows.empty()) co_return not_found("task-execution", context->param("id"));
    co_return json_text(200, write_execution(rows->rows.front()));
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
