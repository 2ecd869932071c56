// /api/tasks and /api/task-executions.
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/contracts/rules.hpp"
#include "shared/contracts/vocabulary.hpp"
#include "shared/json/patch.hpp"

namespace codegen::contracts {

// The resource "task"; codegen::Task is the coroutine.
struct TaskRecord {
    std::string id;  // uuid
    std::optional<std::string> project_id;
    TaskType type{};
    TaskStatus status{};
    std::optional<std::string> spec;
    boost::json::object task_metadata;
    std::optional<boost::json::object> result;  // `reason` (a FailureReason) when failed
    std::optional<std::string> error_message;
    std::optional<std::int64_t> user_id;
    std::optional<std::string> callback_stream;
    std::optional<Timestamp> started_at;
    std::optional<Timestamp> completed_at;
    Timestamp created_at{};
    Timestamp updated_at{};

    static constexpr std::array<std::string_view, 1> defaulted{"task_metadata"};
};
BOOST_DESCRIBE_STRUCT(TaskRecord, (),
                      (id, project_id, type, status, spec, task_metadata, result, error_message, user_id,
                       callback_stream, started_at, completed_at, created_at, updated_at))

struct TaskCreate {
    std::optional<std::string> id;  // made by the client
    std::optional<std::string> project_id;
    TaskType type{};
    std::optional<std::string> spec;
    boost::json::object task_metadata;
    std::optional<std::int64_t> user_id;
    std::optional<std::string> callback_stream;

    static constexpr std::array<std::string_view, 1> defaulted{"task_metadata"};
    static constexpr std::array<json::Rule, 1> rules{client_id("id")};
};
BOOST_DESCRIBE_STRUCT(TaskCreate, (), (id, project_id, type, spec, task_metadata, user_id, callback_stream))

// `status` and `task_metadata` cannot be cleared: null is an error.
struct TaskPatch {
    json::Patch<TaskStatus> status;
    json::Patch<std::string> spec;
    json::Patch<boost::json::object> task_metadata;
    json::Patch<boost::json::object> result;
    json::Patch<std::string> error_message;
    json::Patch<std::string> callback_stream;
    json::Patch<Timestamp> started_at;
    json::Patch<Timestamp> completed_at;

    static constexpr std::array<json::Rule, 2> rules{not_cleared("status"), not_cleared("task_metadata")};
};
BOOST_DESCRIBE_STRUCT(TaskPatch, (),
                      (status, spec, task_metadata, result, error_message, callback_stream, started_at, completed_at))

// Also the body of POST (idempotent on id), where created_at is the server's own.
struct TaskExecution {
    std::string id;  // the worker's request_id
    std::optional<std::string> task_id;
    std::string worker_id;
    Timestamp started_at{};
    std::optional<Timestamp> finished_at;  // absent while in_progress
    std::optional<std::int64_t> duration_ms;
    std::optional<std::int64_t> exit_code;  // absent also when the agent was killed or never ran
    ExecutionStatus status{};
    std::optional<boost::json::object> result_data;
    std::optional<std::int64_t> input_tokens;
    std::optional<std::int64_t> output_tokens;
    std::optional<std::int64_t> cache_read_tokens;
    std::optional<std::int64_t> cache_write_tokens;
    std::optional<double> cost_usd;
    std::optional<std::int64_t> turns;
    std::optional<std::string> model;
    Timestamp created_at = system_now();

    static constexpr std::array<std::string_view, 1> defaulted{"created_at"};
    static constexpr std::array<json::Rule, 1> rules{
        {{.field = "id", .expected = "the request_id, 1 to 200 characters", .min_length = 1, .max_length = 200}}};
};
BOOST_DESCRIBE_STRUCT(TaskExecution, (),
                      (id, task_id, worker_id, started_at, finished_at, duration_ms, exit_code, status, result_data,
                       input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_usd, turns, model,
                       created_at))

}  // namespace codegen::contracts
