// The routes of each resource, and what their handlers get.
#pragma once
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "services/api/caller.hpp"
#include "services/api/metrics.hpp"
#include "services/api/route.hpp"
#include "services/api/rows.hpp"
#include "shared/http/router.hpp"
#include "shared/json/json.hpp"
#include "shared/secrets/secret_box.hpp"
#include "shared/storage/database.hpp"

namespace codegen::api {

struct Table;

// Lives while its handler runs.
struct Context {
    storage::Database& database;
    const http::Request& request;
    const http::Match& match;
    const Caller& caller;
    Timestamp now;
    const Metrics& metrics;
    const RouteSpec& route;
    const secrets::SecretBox& secrets;

    std::string param(std::string_view name) const;  // a path parameter
    std::string id() const;                          // the path parameter "id", a UUID in lower case
    // Null: not given. Throws std::logic_error for a name that the route does not declare.
    const std::string* query(std::string_view name) const;
    // A number in a path parameter or query value; nullopt when it is none.
    static std::optional<std::int64_t> number(std::string_view text);
};

std::span<const RouteSpec> user_routes();
std::span<const RouteSpec> project_routes();
std::span<const RouteSpec> task_routes();
std::span<const RouteSpec> task_execution_routes();
std::span<const RouteSpec> token_routes();
std::span<const RouteSpec> available_model_routes();
std::span<const RouteSpec> host_routes();
std::span<const RouteSpec> server_routes();
std::span<const RouteSpec> allocation_routes();
std::span<const RouteSpec> incident_routes();
std::span<const RouteSpec> service_deployment_routes();
std::span<const RouteSpec> agent_config_routes();
std::span<const RouteSpec> api_key_routes();
std::span<const RouteSpec> rag_routes();
std::span<const RouteSpec> resource_routes();
std::span<const RouteSpec> pending_message_routes();
std::span<const RouteSpec> health_routes();
std::span<const RouteSpec> document_routes();  // documents.cpp, which also lists all of these
std::vector<storage::Migration> migrations();

// Throws std::logic_error unless the route declares `name` as its request.
void check_declared_body(const Context& context, std::string_view name);
// Where `body` holds a NUL character, which PostgreSQL cannot store; no path: nowhere.
FieldErrors nul_characters(const std::string& body);
// 400: not JSON. 422: not a T, with the path of every field.
template <class T>
std::expected<T, http::Response> body_of(const Context& context) {
    check_declared_body(context, contracts::type_name<T>());
    auto parsed = json::parse<T>(context.request.body);
    if (parsed) {
        if (const auto places = nul_characters(context.request.body); !places.empty())
            return std::unexpected(http::problem(422, "the body is not valid", places));
        return std::move(*parsed);
    }
    if (auto any = json::parse_any(context.request.body); !any) {
        return std::unexpected(http::problem(400, "the body is not JSON: " + any.error().front().message));
    }
    return std::unexpected(http::problem(422, "the body is not valid", parsed.error()));
}
std::unexpected<http::Response> invalid_field(std::string path, std::string message);

// What the caller may see of a table, as SQL.
void limit_to_visible_projects(const Caller& caller, Where& where);
void limit_to_visible_tasks(const Caller& caller, Where& where);
// Whether the caller sees this project. An error is the answer to give.
Task<std::expected<bool, http::Response>> sees_project(const Context* context, std::string id);

// The client's id in lower case, or a new one.
std::string id_or_new(const std::optional<std::string>& id);
std::string lower_case(std::string_view text);
// POST with a key that exists: the same request again (`hash` as stored in request_hash) is 200 with the object as it
// is now, another one 409.
Task<http::Response> answer_repeated(const Context* context, const Table* table, std::string id, std::string hash);

}  // namespace codegen::api
