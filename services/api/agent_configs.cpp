// /api/agent-configs and /api/cli-agent-configs: how agents are asked. Their version is raised by a change.
#include <fmt/format.h>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/settings.hpp"

namespace codegen::api {
namespace {

using contracts::AgentConfig;
using contracts::CliAgentConfig;

constexpr Table kAgents{
    .name = "agent_configs", .what = "agent-config", .id = Page::Id::text, .write = write_record<AgentConfig>};
constexpr Table kCliAgents{.name = "cli_agent_configs",
                           .what = "cli-agent-config",
                           .id = Page::Id::text,
                           .write = write_record<CliAgentConfig>};

template <class Create>
Task<http::Response> create(const Context* context, const Table* table) {
    auto body = body_of<Create>(*context);
    if (!body) co_return body.error();
    auto values = assignments_of(*body);
    values.set("version", std::int64_t{1});
    values.set("request_hash", sha256_hex(json::write(*body)));
    auto answer = co_await answer_made(context, table, std::move(values), body->id);
    co_return answer;
}

// The same values again are no change.
template <class Patch>
Task<http::Response> patch(const Context* context, const Table* table) {
    auto body = body_of<Patch>(*context);
    if (!body) co_return body.error();
    auto changes = assignments_of(*body);
    std::string differs;
    for (const auto& column : changes.columns)
        differs += fmt::format("{}{} IS DISTINCT FROM :{}", differs.empty() ? "" : " OR ", column, column);
    if (!differs.empty())
        changes.others.push_back(fmt::format("version = version + CASE WHEN {} THEN 1 ELSE 0 END", differs));
    auto answer = co_await answer_changed(context, table, Where(), context->param("id"), std::move(changes));
    co_return answer;
}

template <const Table* table>
Task<http::Response> list(const Context* context) {
    return answer_list(context, table, Filters(*context));
}
template <const Table* table>
Task<http::Response> get(const Context* context) {
    return answer_object(context, table, Where(), context->param("id"));
}
template <const Table* table>
Task<http::Response> remove(const Context* context) {
    return answer_removed(context, table, Where(), context->param("id"));
}

Task<http::Response> create_agent(const Context* context) {
    return create<contracts::AgentConfigCreate>(context, &kAgents);
}
Task<http::Response> patch_agent(const Context* context) {
    return patch<contracts::AgentConfigPatch>(context, &kAgents);
}
Task<http::Response> create_cli_agent(const Context* context) {
    return create<contracts::CliAgentConfigCreate>(context, &kCliAgents);
}
Task<http::Response> patch_cli_agent(const Context* context) {
    return patch<contracts::CliAgentConfigPatch>(context, &kCliAgents);
}

constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/agent-configs",
     Access::control,
     "",
     create_agent,
     {.summary = "Add a configuration",
      .request = contract("AgentConfigCreate"),
      .response = contract("AgentConfig"),
      .answers = {201, 200, 409}}},
    {"GET",
     "/api/agent-configs",
     Access::member,
     "",
     list<&kAgents>,
     {.summary = "All of them", .response = list_of("AgentConfig"), .paged = true}},
    {"GET",
     "/api/agent-configs/{id}",
     Access::member,
     "",
     get<&kAgents>,
     {.summary = "One of them", .response = contract("AgentConfig"), .answers = {200, 404}}},
    {"PATCH",
     "/api/agent-configs/{id}",
     Access::control,
     "",
     patch_agent,
     {.summary = "Change some fields; a change raises the version",
      .request = contract("AgentConfigPatch"),
      .response = contract("AgentConfig"),
      .answers = {200, 404}}},
    {"DELETE",
     "/api/agent-configs/{id}",
     Access::control,
     "",
     remove<&kAgents>,
     {.summary = "Remove it", .answers = {204, 404}}},
    {"POST",
     "/api/cli-agent-configs",
     Access::control,
     "",
     create_cli_agent,
     {.summary = "Add a configuration",
      .request = contract("CliAgentConfigCreate"),
      .response = contract("CliAgentConfig"),
      .answers = {201, 200, 409}}},
    {"GET",
     "/api/cli-agent-configs",
     Access::member,
     "",
     list<&kCliAgents>,
     {.summary = "All of them", .response = list_of("CliAgentConfig"), .paged = true}},
    {"GET",
     "/api/cli-agent-configs/{id}",
     Access::member,
     "",
     get<&kCliAgents>,
     {.summary = "One of them", .response = contract("CliAgentConfig"), .answers = {200, 404}}},
    {"PATCH",
     "/api/cli-agent-configs/{id}",
     Access::control,
     "",
     patch_cli_agent,
     {.summary = "Change some fields; a change raises the version",
      .request = contract("CliAgentConfigPatch"),
      .response = contract("CliAgentConfig"),
      .answers = {200, 404}}},
    {"DELETE",
     "/api/cli-agent-configs/{id}",
     Access::control,
     "",
     remove<&kCliAgents>,
     {.summary = "Remove it", .answers = {204, 404}}},
};

}  // namespace

std::span<const RouteSpec> agent_config_routes() { return kRoutes; }

}  // namespace codegen::api
