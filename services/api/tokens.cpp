#include <fmt/format.h>

#include "services/api/resource.hpp"
#include "shared/base/ids.hpp"
#include "shared/contracts/dto/manager.hpp"
#include "shared/contracts/dto/user.hpp"

namespace codegen::api {
namespace {

using contracts::Token;
using contracts::TokenCreate;
using contracts::TokenCreated;
using contracts::TokenKind;

Token token_of(const storage::Row& row) {
    return {.id = row.text("id"),
            .kind = enum_column<TokenKind>(row, "kind"),
            .user_id = row.optional_integer("user_id"),
            .worker_id = row.optional_text("worker_id"),
            .task_id = row.optional_text("task_id"),
            .actions = string_list(row.text("actions")),
            .expires_at = optional_time_column(row, "expires_at")};
}

std::string write_token(const storage::Row& row) { return json::write(token_of(row)); }

// The secret is in the first answer only: the same request again gets the token without it.
Task<http::Response> create(const Context* context) {
    auto body = body_of<TokenCreate>(*context);
    if (!body) co_return body.error();
    if (body->kind == TokenKind::admin && !body->user_id) body->user_id = context->caller.user_id;
    if (body->task_id) body->task_id = lower_case(*body->task_id);
    const auto id = id_or_new(body->id);
    body->id = id;
    const auto hash = sha256_hex(json::write(*body));
    const auto secret = random_token();
    auto made = co_await context->database.query(
        "INSERT INTO tokens (id, kind, user_id, worker_id, task_id, actions, secret_hash, expires_at, request_hash, "
        "created_at) VALUES (:id, :kind, :user_id, :worker_id, :task_id, :actions, :secret_hash, :expires_at, :hash, "
        ":now) RETURNING *",
        {{"id", id},
         {"kind", std::string(json::name_of(body->kind))},
         {"user_id", body->user_id},
         {"worker_id", body->worker_id},
         {"task_id", body->task_id},
         {"actions", json_list(body->actions)},
         {"secret_hash", sha256_hex(secret)},
         {"expires_at", micros_of(body->expires_at)},
         {"hash", hash},
         {"now", to_micros(context->now)}});
    if (!made && made.error().code == "duplicate") {
        auto repeated = co_await answer_repeated(context, "token", "tokens", id, hash, write_token);
        co_return repeated;
    }
    if (!made && made.error().code == "constraint") {
        co_return invalid_field("user_id", fmt::format("no user has the id {}", body->user_id.value_or(0))).error();
    }
    if (!made) co_return problem_of(made.error());
    co_return json_text(201, json::write(TokenCreated{token_of(made->rows.at(0)), secret}));
}

Task<http::Response> list(const Context* context) {
    auto page = Page::parse(context->match);
    if (!page) co_return page.error();
    Where where;
    filter_text(*context, "worker_id", where);
    if (auto filtered = filter_enum<TokenKind>(*context, "kind", "kind", where); !filtered) co_return filtered.error();
    auto select = page->select("*", "tokens", std::move(where), Page::Id::text);
    auto rows = co_await context->database.query(std::move(select.sql), std::move(select.parameters));
    if (!rows) co_return problem_of(rows.error());
    co_return page->answer(rows->rows, context->request.target, write_token);
}

Task<http::Response> remove(const Context* context) {
    auto gone = co_await context->database.query("DELETE FROM tokens WHERE id = :id", {{"id", context->id()}});
    if (!gone) co_return problem_of(gone.error());
    if (gone->affected == 0) co_return not_found("token", context->id());
    http::Response response;
    response.status = 204;
    co_return response;
}

Task<http::Response> self(const Context* context) {
    const auto& caller = context->caller;
    co_return json_text(
        200,
        json::write(contracts::TokenSelf{
            .kind = caller.kind, .user_id = caller.user_id, .sees_all = caller.sees_all(), .actions = caller.actions}));
}

constexpr RouteSpec kRoutes[] = {
    {"GET",
     "/api/tokens/self",
     Access::member,
     "",
     self,
     {.summary = "Whose token this is", .response = contract("TokenSelf")}},
    {"POST",
     "/api/tokens",
     Access::control,
     "",
     create,
     {.summary = "Make a token; this answer alone holds its secret",
      .request = contract("TokenCreate"),
      .response = contract("Token"),
      .created = contract("TokenCreated"),
      .answers = {201, 200, 409}}},
    {"GET",
     "/api/tokens",
     Access::control,
     "",
     list,
     {.summary = "All tokens, without their secrets",
      .response = list_of("Token"),
      .query = {text("worker_id"), one_of<TokenKind>("kind")},
      .paged = true}},
    {"DELETE", "/api/tokens/{id}", Access::control, "", remove, {.summary = "Revoke a token", .answers = {204, 404}}},
};

}  // namespace

std::span<const RouteSpec> token_routes() { return kRoutes; }

}  // namespace codegen::api
