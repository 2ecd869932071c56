// /api/servers: the machines that services are deployed on, their ports, incidents and services.
#include <algorithm>
#include <cctype>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/infrastructure.hpp"
#include "shared/logging/log.hpp"

namespace codegen::api {
namespace {

using contracts::Server;
using contracts::ServerStatus;

std::string write_server(const storage::Row& row) {
    auto server = record_of<Server>(row);
    server.ssh_key_enc.reset();  // never returned
    return json::write(server);
}

}  // namespace

constinit const Table kServers{
    .name = "servers", .what = "server", .id = Page::Id::text, .write = write_server, .key = "handle"};

namespace {

std::string handle_of(const Context& context) { return context.param("handle"); }

Where visible(const Context& context) {
    Where where;
    limit_to_visible_servers(context.caller, "handle", where);
    return where;
}

// It becomes a line of a known_hosts file: "ssh-ed25519 AAAA... [comment]".
std::expected<void, http::Response> check_labels(const boost::json::object& labels) {
    const auto* key = labels.if_contains("ssh_host_key");
    if (!key) return {};
    const auto* text = key->if_string();
    const std::string_view line = text ? std::string_view(*text) : std::string_view();
    const auto blank = line.find(' ');
    const auto data =
        blank == line.npos ? std::string_view() : line.substr(blank + 1, line.find(' ', blank + 1) - blank - 1);
    const bool printable = std::ranges::all_of(line, [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
    const auto is_base64 = [](unsigned char c) { return std::isalnum(c) != 0 || c == '+' || c == '/' || c == '='; };
    constexpr std::size_t kLongest = 8192;
    if (printable && line.size() <= kLongest && (line.starts_with("ssh-") || line.starts_with("ecdsa-")) &&
        data.starts_with("AAAA") && std::ranges::all_of(data, is_base64))
        return {};
    return invalid_field("labels.ssh_host_key", "expected one public key on one line: ssh-ed25519 AAAA... [comment]");
}

// The private key as the store holds it.
void seal_key(const Context& context, const std::string& handle, Assignments& values) {
    const auto key = values.parameters.values.find("ssh_key_enc");
    if (key == values.parameters.values.end()) return;
    if (const auto* text = std::get_if<std::string>(&key->second))
        values.set_sealed("ssh_key_enc", context.secrets.seal(*text, sealed_place(kServers, handle)),
                          context.secrets.key_id());
}

Task<http::Response> create(const Context* context) {
    auto body = body_of<contracts::ServerCreate>(*context);
    if (!body) co_return body.error();
    if (auto fine = check_labels(body->labels); !fine) co_return fine.error();
    auto values = assignments_of(*body);
    values.set("request_hash", context->secrets.fingerprint(json::write(*body)));
    seal_key(*context, body->handle, values);
    auto answer = co_await answer_made(context, &kServers, std::move(values), body->handle);
    co_return answer;
}

Task<http::Response> list(const Context* context) {
    Filters filters(*context);
    filters.where = visible(*context);
    filters.boolean("is_managed").choice<ServerStatus>("status");
    return answer_list(context, &kServers, std::move(filters));
}

Task<http::Response> get(const Context* context) {
    return answer_object(context, &kServers, visible(*context), handle_of(*context));
}

Task<http::Response> patch(const Context* context) {
    auto body = body_of<contracts::ServerPatch>(*context);
    if (!body) co_return body.error();
    if (body->labels.value)
        if (auto fine = check_labels(*body->labels.value); !fine) co_return fine.error();
    auto changes = assignments_of(*body);
    seal_key(*context, handle_of(*context), changes);
    auto answer =
        co_await answer_changed(context, &kServers, visible(*context), handle_of(*context), std::move(changes));
    co_return answer;
}

Task<http::Response> set_status(const Context* context, ServerStatus status) {
    Assignments changes;
    changes.set("status", value_of(status));
    return answer_changed(context, &kServers, visible(*context), handle_of(*context), std::move(changes));
}
// For infra-service alone: its token names the action, which other service tokens do not.
Task<http::Response> ssh_key(const Context* context) {
    if (!reads_infrastructure_secrets(context->caller))
        co_return http::problem(403, "only infra-service may read the key of a server");
    const auto handle = handle_of(*context);
    auto rows = co_await context->database.query("SELECT ssh_key_enc FROM servers WHERE handle = :handle",
                                                 {{"handle", handle}});
    if (!rows) co_return problem_of(rows.error());
    if (rows->rows.empty()) co_return not_found(kServers.what, handle);
    const auto sealed = rows->rows.front().optional_text("ssh_key_enc");
    if (!sealed) co_return http::problem(404, "server " + handle.substr(0, 100) + " has no private key");
    auto key = context->secrets.open(*sealed, sealed_place(kServers, handle));
    if (!key) {
        log::error("the key of a server does not open", {{"server", handle}, {"error", key.error().message}});
        co_return http::problem(503, "the key cannot be decrypted; the reason is in the log of the api");
    }
    auto response = json_text(200, json::write(contracts::ServerKey{handle, std::move(*key)}));
    response.headers.set("Cache-Control", "no-store");
    co_return response;
}

// What happens then is for the scheduler, which reads the status.
Task<http::Response> force_rebuild(const Context* context) { return set_status(context, ServerStatus::force_rebuild); }
Task<http::Response> provision(const Context* context) { return set_status(context, ServerStatus::pending_setup); }

// The objects of one server: 404 when the caller does not see the server.
Task<http::Response> list_of_server(const Context* context, const Table* table, Filters filters) {
    const auto handle = handle_of(*context);
    auto server = co_await answer_object(context, &kServers, visible(*context), handle);
    if (server.status != 200) co_return server;
    filters.where.equals("server_handle", handle);
    auto answer = co_await answer_list(context, table, std::move(filters));
    co_return answer;
}

Task<http::Response> ports(const Context* context) {
    Filters filters(*context);
    limit_to_own_projects(context->caller, "project_id", filters.where);
    return list_of_server(context, &kAllocations, std::move(filters));
}

Task<http::Response> incidents(const Context* context) {
    return list_of_server(context, &kIncidents, Filters(*context));
}

Task<http::Response> services(const Context* context) {
    Filters filters(*context);
    limit_to_own_projects(context->caller, "project_id", filters.where);
    return list_of_server(context, &kServiceDeployments, std::move(filters));
}

// A port that is taken for the same purpose is 200 with that allocation, for another one 409.
Task<http::Response> allocate(const Context* context) {
    auto body = body_of<contracts::AllocationCreate>(*context);
    if (!body) co_return body.error();
    if (body->project_id) body->project_id = lower_case(*body->project_id);
    const auto handle = handle_of(*context);
    auto there = co_await exists(context, &kServers, handle);
    if (!there) co_return there.error();
    if (!*there) co_return not_found(kServers.what, handle);
    auto values = assignments_of(*body);
    values.set("server_handle", handle);
    values.set("allocated_at", to_micros(context->now));
    auto answer = co_await answer_made(context, &kAllocations, std::move(values), "");
    if (answer.status != 409) co_return answer;
    auto taken = co_await context->database.query(
        "SELECT * FROM allocations WHERE server_handle = :server_handle AND port = :port",
        {{"server_handle", handle}, {"port", body->port}});
    if (!taken) co_return problem_of(taken.error());
    if (!taken->rows.empty() && taken->rows.front().optional_text("project_id") == body->project_id &&
        taken->rows.front().text("service_name") == body->service_name)
        co_return object_answer(200, kAllocations, taken->rows.front());
    co_return http::problem(409, "the port is taken already", {{"port", "is taken on this server"}});
}

constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/servers",
     Access::control,
     "",
     create,
     {.summary = "Add a server; its private key is stored encrypted and never returned",
      .request = contract("ServerCreate"),
      .response = contract("Server"),
      .answers = {201, 200, 409}}},
    {"GET",
     "/api/servers",
     Access::everyone,
     "infra.servers",
     list,
     {.summary = "Servers that the caller's projects use; all of them for an admin",
      .response = list_of("Server"),
      .query = {boolean("is_managed"), one_of<ServerStatus>("status")},
      .paged = true}},
    {"GET",
     "/api/servers/{handle}",
     Access::everyone,
     "infra.servers",
     get,
     {.summary = "One server", .response = contract("Server"), .answers = {200, 404}}},
    {"PATCH",
     "/api/servers/{handle}",
     Access::control,
     "",
     patch,
     {.summary = "Change some fields of a server",
      .request = contract("ServerPatch"),
      .response = contract("Server"),
      .answers = {200, 404}}},
    {"GET",
     "/api/servers/{handle}/ssh-key",
     Access::control,
     "",
     ssh_key,
     {.summary = "The private key of a server, for infra-service",
      .response = contract("ServerKey"),
      .answers = {200, 404}}},
    {"GET",
     "/api/servers/{handle}/ports",
     Access::everyone,
     "infra.servers",
     ports,
     {.summary = "The ports of a server that are taken",
      .response = list_of("Allocation"),
      .paged = true,
      .answers = {200, 404}}},
    {"POST",
     "/api/servers/{handle}/ports",
     Access::control,
     "",
     allocate,
     {.summary = "Take a port; the same again is no change",
      .request = contract("AllocationCreate"),
      .response = contract("Allocation"),
      .answers = {201, 200, 404, 409}}},
    {"GET",
     "/api/servers/{handle}/incidents",
     Access::everyone,
     "infra.incidents",
     incidents,
     {.summary = "The incidents of a server", .response = list_of("Incident"), .paged = true, .answers = {200, 404}}},
    {"GET",
     "/api/servers/{handle}/services",
     Access::everyone,
     "infra.servers",
     services,
     {.summary = "What is deployed on a server",
      .response = list_of("ServiceDeployment"),
      .paged = true,
      .answers = {200, 404}}},
    {"POST",
     "/api/servers/{handle}/force-rebuild",
     Access::control,
     "",
     force_rebuild,
     {.summary = "Ask for a rebuild: sets the status force_rebuild",
      .response = contract("Server"),
      .answers = {200, 404}}},
    {"POST",
     "/api/servers/{handle}/provision",
     Access::control,
     "",
     provision,
     {.summary = "Ask for provisioning: sets the status pending_setup",
      .response = contract("Server"),
      .answers = {200, 404}}},
};

}  // namespace

std::span<const RouteSpec> server_routes() { return kRoutes; }

}  // namespace codegen::api
