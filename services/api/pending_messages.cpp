// /api/provisioner-messages and /api/workflow-commands: what somebody was told is taken, until the role that reads the
// queue has it in its own tables. The queue alone would lose it with Redis. The API sends nothing: who asks writes here
// first and into the queue then, and the role looks here for what did not come.
#include <fmt/format.h>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/queues/engineering.hpp"
#include "shared/contracts/queues/provisioner.hpp"

namespace codegen::api {
namespace {

using contracts::ProvisionerMessage;
using contracts::WorkflowCommand;

std::string write_message(const storage::Row& row) { return row.text("message"); }

constexpr Table kProvisioning{.name = "pending_provisionings",
                              .what = "provisioner message",
                              .id = Page::Id::text,
                              .write = write_message,
                              .reference = "server_handle"};
constexpr Table kCommands{.name = "pending_commands",
                          .what = "workflow command",
                          .id = Page::Id::text,
                          .write = write_message,
                          .reference = "task_id"};

template <class Message>
Task<http::Response> keep(const Context* context, const Table* table, Message message, std::string about) {
    message.request_id = lower_case(message.request_id);
    Assignments values;
    values.set("id", message.request_id);
    values.set(table->reference, std::move(about));
    values.set("message", json::write(message));
    message.timestamp = {};  // said again, it is the same
    values.set("request_hash", sha256_hex(json::write(message)));
    return answer_made(context, table, std::move(values), message.request_id);
}

std::optional<http::Response> check_id(const std::string& request_id) {
    if (is_uuid(request_id)) return {};
    return invalid_field("request_id", fmt::format("is \"{}\": expected a UUID", request_id.substr(0, 80))).error();
}

Task<http::Response> keep_provisioning(const Context* context) {
    auto body = body_of<ProvisionerMessage>(*context);
    if (!body) co_return body.error();
    if (auto refusal = check_id(body->request_id)) co_return std::move(*refusal);
    auto handle = body->server_handle;
    auto answer = co_await keep(context, &kProvisioning, std::move(*body), std::move(handle));
    co_return answer;
}

// Whoever sees the task may; who speaks for one user says nothing for another.
Task<http::Response> keep_command(const Context* context) {
    auto body = body_of<WorkflowCommand>(*context);
    if (!body) co_return body.error();
    if (auto refusal = check_id(body->request_id)) co_return std::move(*refusal);
    const Caller& caller = context->caller;
    const auto action = fmt::format("engineering.{}", json::name_of(body->command));
    if (caller.is_bound() && !permits(caller.actions, action))
        co_return http::problem(403, fmt::format("this token does not allow {}", action));
    body->task_id = lower_case(body->task_id);
    if (!caller.sees_all()) {
        body->user_id = caller.user_id.value_or(0);
        body->callback_stream.reset();
    }
    Where visible;
    limit_to_visible_tasks(caller, visible);
    visible.equals("id", body->task_id);
    auto task = co_await context->database.query("SELECT id FROM tasks" + visible.sql(), visible.parameters);
    if (!task) co_return problem_of(task.error());
    if (task->rows.empty()) co_return not_found("task", body->task_id);
    auto id = body->task_id;
    auto answer = co_await keep(context, &kCommands, std::move(*body), std::move(id));
    co_return answer;
}

template <const Table* table>
Task<http::Response> list(const Context* context) {
    return answer_list(context, table, Filters(*context));
}
template <const Table* table>
Task<http::Response> remove(const Context* context) {
    return answer_removed(context, table, Where(), context->id());
}

constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/provisioner-messages",
     Access::control,
     "",
     keep_provisioning,
     {.summary = "Keep what is being written into provisioner:queue until infra-service has it",
      .request = contract("ProvisionerMessage"),
      .response = contract("ProvisionerMessage"),
      .answers = {201, 200, 409}}},
    {"GET",
     "/api/provisioner-messages",
     Access::control,
     "",
     list<&kProvisioning>,
     {.summary = "Asked for, and not yet taken up by infra-service",
      .response = list_of("ProvisionerMessage"),
      .paged = true}},
    {"DELETE",
     "/api/provisioner-messages/{id}",
     Access::control,
     "",
     remove<&kProvisioning>,
     {.summary = "infra-service has it", .answers = {204, 404}}},
    {"POST",
     "/api/workflow-commands",
     Access::everyone,
     "engineering.cancel,engineering.resume",
     keep_command,
     {.summary = "Keep what is being written into workflow:commands until the workflow has obeyed it",
      .request = contract("WorkflowCommand"),
      .response = contract("WorkflowCommand"),
      .answers = {201, 200, 404, 409}}},
    {"GET",
     "/api/workflow-commands",
     Access::control,
     "",
     list<&kCommands>,
     {.summary = "Asked for, and not yet obeyed by the workflow",
      .response = list_of("WorkflowCommand"),
      .paged = true}},
    {"DELETE",
     "/api/workflow-commands/{id}",
     Access::control,
     "",
     remove<&kCommands>,
     {.summary = "The workflow has obeyed it", .answers = {204, 404}}},
};

}  // namespace

std::span<const RouteSpec> pending_message_routes() { return kRoutes; }

}  // namespace codegen::api
