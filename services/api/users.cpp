#include <fmt/format.h>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/user.hpp"

namespace codegen::api {
namespace {

using contracts::User;

constexpr Table kTable{.name = "users", .what = "user", .id = Page::Id::number, .write = write_record<User>};

// Others see only themselves.
void limit_to_visible_users(const Caller& caller, Where& where) {
    if (caller.sees_all()) return;
    where.add("id = :visible_user");
    where.parameters.set("visible_user", caller.user_id);
}

Task<http::Response> create(const Context* context) {
    auto body = body_of<contracts::UserCreate>(*context);
    if (!body) co_return body.error();
    auto values = assignments_of(*body);
    values.set("last_seen", to_micros(context->now));
    auto answer = co_await answer_made(context, &kTable, std::move(values), "");
    if (answer.status == 409) {
        co_return http::problem(409, fmt::format("a user with telegram_id {} exists already; see /api/users/upsert",
                                                 body->telegram_id.value_or(0)));
    }
    co_return answer;
}

Task<http::Response> upsert(const Context* context) {
    auto body = body_of<contracts::UserUpsert>(*context);
    if (!body) co_return body.error();
    if (body->is_admin && !context->caller.sees_all()) {
        co_return http::problem(403, "only an admin may set is_admin");
    }
    std::vector<storage::Statement> statements;
    statements.push_back({"SELECT id FROM users WHERE telegram_id = :id", {{"id", body->telegram_id}}, {}});
    statements.push_back(
        {"INSERT INTO users (telegram_id, username, first_name, last_name, is_admin, created_at, last_seen) "
         "VALUES (:telegram_id, :username, :first_name, :last_name, coalesce(:is_admin, 0), :now, :now) "
         "ON CONFLICT (telegram_id) DO UPDATE SET username = coalesce(:username, users.username), "
         "first_name = coalesce(:first_name, users.first_name), "
         "last_name = coalesce(:last_name, users.last_name), "
         "is_admin = coalesce(:is_admin, users.is_admin), last_seen = :now RETURNING *",
         {{"telegram_id", body->telegram_id},
          {"username", body->username},
          {"first_name", body->first_name},
          {"last_name", body->last_name},
          {"is_admin", body->is_admin},
          {"now", to_micros(context->now)}},
         {}});
    auto done = co_await context->database.atomically(std::move(statements));
    if (!done) co_return problem_of(done.error());
    co_return json_text(done->at(0).rows.empty() ? 201 : 200, kTable.write(done->at(1).rows.at(0)));
}

Task<http::Response> list(const Context* context) {
    Filters filters(*context);
    limit_to_visible_users(context->caller, filters.where);
    filters.number("telegram_id");
    return answer_list(context, &kTable, std::move(filters));
}

Task<http::Response> get(const Context* context) {
    Where where;
    limit_to_visible_users(context->caller, where);
    return answer_object(context, &kTable, std::move(where), context->param("id"));
}

Task<http::Response> get_by_telegram(const Context* context) {
    static constexpr Table kByTelegram{
        .name = kTable.name, .what = kTable.what, .id = kTable.id, .write = kTable.write, .key = "telegram_id"};
    Where where;
    limit_to_visible_users(context->caller, where);
    return answer_object(context, &kByTelegram, std::move(where), context->param("telegram_id"));
}

constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/users",
     Access::control,
     "",
     create,
     {.summary = "Make a user",
      .request = contract("UserCreate"),
      .response = contract("User"),
      .answers = {201, 409}}},
    {"POST",
     "/api/users/upsert",
     Access::service,
     "",
     upsert,
     {.summary = "Make or change the user of a telegram_id",
      .request = contract("UserUpsert"),
      .response = contract("User"),
      .answers = {200, 201}}},
    {"GET",
     "/api/users",
     Access::member,
     "",
     list,
     {.summary = "Users that the caller may see",
      .response = list_of("User"),
      .query = {integer("telegram_id")},
      .paged = true}},
    {"GET",
     "/api/users/{id}",
     Access::member,
     "",
     get,
     {.summary = "One user", .response = contract("User"), .answers = {200, 404}}},
    {"GET",
     "/api/users/by-telegram/{telegram_id}",
     Access::member,
     "",
     get_by_telegram,
     {.summary = "The user of a telegram_id", .response = contract("User"), .answers = {200, 404}}},
};

}  // namespace

std::span<const RouteSpec> user_routes() { return kRoutes; }

}  // namespace codegen::api
