// /api/api-keys: keys of other services, encrypted at rest. Never listed; only a service reads one.
#include <fmt/format.h>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/base/ids.hpp"
#include "shared/contracts/dto/settings.hpp"
#include "shared/logging/log.hpp"

namespace codegen::api {
namespace {

using contracts::ApiKey;
using contracts::ApiKeyValue;

// Written again: the key changes, its id stays. `owner` is the project, or '' for a system key.
std::string write_key(const storage::Row& row) {
    auto key = record_of<ApiKey>(row);
    key.key_enc.reset();
    return json::write(key);
}
constexpr Table kTable{
    .name = "api_keys", .what = "api-key", .id = Page::Id::text, .write = write_key, .reference = "project_id"};

// Keys of this name open servers.
constexpr std::string_view kInfrastructurePrefix = "infra-";

// Which key an address means: the one of ?project_id=, else the system's.
Where addressed(const Context& context) {
    Where where;
    where.equals("service", context.param("service"));
    const auto* project = context.query("project_id");
    where.equals("owner", project ? lower_case(*project) : std::string());
    return where;
}

http::Response no_key(const Context& context) {
    const auto* project = context.query("project_id");
    return http::problem(404, fmt::format("no api-key for {} of {}", context.param("service").substr(0, 100),
                                          project ? "project " + project->substr(0, 100) : "the system"));
}

// The seal names the row: its id must be known before.
Task<http::Response> create(const Context* context) {
    auto body = body_of<contracts::ApiKeyCreate>(*context);
    if (!body) co_return body.error();
    if (body->project_id) body->project_id = lower_case(*body->project_id);
    const auto owner = body->project_id.value_or("");
    auto known = co_await context->database.query("SELECT id FROM api_keys WHERE service = :service AND owner = :owner",
                                                  {{"service", body->service}, {"owner", owner}});
    if (!known) co_return problem_of(known.error());
    const bool fresh = known->rows.empty();
    const auto id = fresh ? new_uuid() : known->rows.front().text("id");
    Assignments values;
    values.set_sealed("key_enc", context->secrets.seal(body->value, sealed_place(kTable, id)),
                      context->secrets.key_id());
    if (!fresh) {
        auto changed = co_await answer_changed(context, &kTable, Where(), id, std::move(values));
        co_return changed;
    }
    values.set("id", id);
    values.set("service", body->service);
    values.set("owner", owner);
    values.set("type", value_of(body->type));
    values.set("project_id", value_of(body->project_id));
    auto made = co_await answer_made(context, &kTable, std::move(values), id);
    co_return made;
}

Task<http::Response> get(const Context* context) {
    if (context->caller.kind != contracts::TokenKind::service || context->caller.acting)
        co_return http::problem(403, "only a service that speaks for itself may read a key");
    if (context->param("service").starts_with(kInfrastructurePrefix) && !reads_infrastructure_secrets(context->caller))
        co_return http::problem(403, "only infra-service may read this key");
    auto where = addressed(*context);
    auto rows = co_await context->database.query("SELECT * FROM api_keys" + where.sql(), where.parameters);
    if (!rows) co_return problem_of(rows.error());
    if (rows->rows.empty()) co_return no_key(*context);
    const auto& row = rows->rows.front();
    auto value = context->secrets.open(row.text("key_enc"), sealed_place(kTable, row.text("id")));
    if (!value) {
        log::error("an api-key does not open", {{"error", value.error().message}});
        co_return http::problem(503, "the key cannot be decrypted; the reason is in the log of the api");
    }
    ApiKeyValue answer{record_of<ApiKey>(row), std::move(*value)};
    answer.key_enc.reset();
    auto response = json_text(200, json::write(answer));
    response.headers.set("Cache-Control", "no-store");
    co_return response;
}

Task<http::Response> remove(const Context* context) {
    auto where = addressed(*context);
    auto gone = co_await context->database.query("DELETE FROM api_keys" + where.sql(), where.parameters);
    if (!gone) co_return problem_of(gone.error());
    if (gone->affected == 0) co_return no_key(*context);
    http::Response response;
    response.status = 204;
    co_return response;
}

constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/api-keys",
     Access::control,
     "",
     create,
     {.summary = "Store a key, encrypted; the same service again replaces it",
      .request = contract("ApiKeyCreate"),
      .response = contract("ApiKey"),
      .answers = {201, 200, 404, 409}}},
    {"GET",
     "/api/api-keys/{service}",
     Access::control,
     "",
     get,
     {.summary = "The key of a service, for services that speak for themselves",
      .response = contract("ApiKeyValue"),
      .query = {text("project_id")},
      .answers = {200, 404}}},
    {"DELETE",
     "/api/api-keys/{service}",
     Access::control,
     "",
     remove,
     {.summary = "Remove a key", .query = {text("project_id")}, .answers = {204, 404}}},
};

}  // namespace

std::span<const RouteSpec> api_key_routes() { return kRoutes; }

}  // namespace codegen::api
