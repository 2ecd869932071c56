// /api/hosts: where the worker-managers are.
#include <fmt/format.h>

#include "services/api/objects.hpp"
#include "shared/contracts/dto/infrastructure.hpp"
#include "shared/contracts/dto/manager.hpp"
#include "shared/http/url.hpp"

namespace codegen::api {
namespace {

using contracts::Host;
using contracts::HostAnnouncement;

constexpr std::size_t kLongestUrl = 2000;

std::string write_host(const storage::Row& row) {
    return json::write(Host{.name = row.text("id"),
                            .manager_url = row.text("manager_url"),
                            .capacity = row.integer("capacity"),
                            .last_seen = time_column(row, "last_seen")});
}

constexpr Table kTable{.name = "hosts", .what = "host", .id = Page::Id::text, .write = write_host};

// People's commands send their token to manager_url: only a service may say where that is.
Task<http::Response> announce(const Context* context) {
    if (context->caller.kind != contracts::TokenKind::service || context->caller.acting) {
        co_return http::problem(403, "only a service that speaks for itself may announce a host");
    }
    const auto name = context->param("name");
    auto body = body_of<HostAnnouncement>(*context);
    if (!body) co_return body.error();
    if (body->manager_url.size() > kLongestUrl || !http::parse_url(body->manager_url)) {
        co_return invalid_field(
            "manager_url", fmt::format("is \"{}\": expected http://HOST:PORT, https://HOST:PORT or http+unix:///PATH",
                                       body->manager_url.substr(0, 80)))
            .error();
    }
    auto stored = co_await context->database.query(
        "INSERT INTO hosts (id, manager_url, capacity, last_seen, created_at) "
        "VALUES (:id, :manager_url, :capacity, :now, :now) ON CONFLICT (id) DO UPDATE SET "
        "manager_url = excluded.manager_url, capacity = excluded.capacity, last_seen = excluded.last_seen RETURNING *",
        {{"id", name},
         {"manager_url", body->manager_url},
         {"capacity", body->capacity},
         {"now", to_micros(context->now)}});
    if (!stored) co_return problem_of(stored.error());
    co_return json_text(200, write_host(stored->rows.at(0)));
}

Task<http::Response> list(const Context* context) { return answer_list(context, &kTable, Filters(*context)); }

constexpr RouteSpec kRoutes[] = {
    {"PUT",
     "/api/hosts/{name}",
     Access::service,
     "",
     announce,
     {.summary = "A worker-manager says where it is",
      .request = contract("HostAnnouncement"),
      .response = contract("Host"),
      .path = {contracts::host_name("name")}}},
    {"GET",
     "/api/hosts",
     Access::member,
     "",
     list,
     {.summary = "Where the worker-managers are", .response = list_of("Host"), .paged = true}},
};

}  // namespace

std::span<const RouteSpec> host_routes() { return kRoutes; }

}  // namespace codegen::api
