#include <fmt/format.h>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/base/ids.hpp"
#include "shared/contracts/dto/manager.hpp"
#include "shared/contracts/dto/user.hpp"

namespace codegen::api {
namespace {

using contracts::Token;
using contracts::TokenCreate;
using contracts::TokenCreated;
using contracts::TokenKind;

constexpr Table kTable{
    .name = "tokens", .what = "token", .id = Page::Id::text, .write = write_record<Token>, .reference = "user_id"};

// The secret is in the first answer only: the same request again gets the token without it.
Task<http::Response> create(const Context* context) {
    auto body = body_of<TokenCreate>(*context);
    if (!body) co_return body.error();
    if (opens_infrastructure_secrets(body->kind, body->actions) && !reads_infrastructure_secrets(context->caller))
        co_return http::problem(
            403, "only infra-service's own token (infra.token) may make a service token that reads the keys of servers",
            {{"actions", fmt::format("allow {}; name the actions that are needed, or none", kInfrastructureSecrets)}});
    if (body->kind == TokenKind::admin && !body->user_id) body->user_id = context->caller.user_id;
    if (body->task_id) body->task_id = lower_case(*body->task_id);
    const auto id = id_or_new(body->id);
    body->id = id;
    const auto hash = sha256_hex(json::write(*body));
    const auto secret = random_token();
    auto values = assignments_of(*body);
    values.set("secret_hash", sha256_hex(secret));
    values.set("request_hash", hash);
    auto answer = co_await answer_made(context, &kTable, std::move(values), id);
    if (answer.status == 201) {
        auto token = json::parse<Token>(answer.body).value();
        answer.body = json::write(TokenCreated{std::move(token), secret});
    }
    co_return answer;
}

Task<http::Response> list(const Context* context) {
    Filters filters(*context);
    filters.text("worker_id").choice<TokenKind>("kind");
    return answer_list(context, &kTable, std::move(filters));
}

Task<http::Response> remove(const Context* context) { return answer_removed(context, &kTable, Where(), context->id()); }

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
