#include <fmt/format.h>

#include "services/api/resource.hpp"
#include "shared/contracts/dto/user.hpp"

namespace codegen::api {
namespace {

using contracts::User;

constexpr std::string_view kColumns =
    "id, telegram_id, username, first_name, last_name, is_admin, created_at, last_seen";

std::string write_user(const storage::Row& row) {
    return json::write(User{.id = row.integer("id"),
                            .telegram_id = row.optional_integer("telegram_id"),
                            .username = row.optional_text("username"),
                            .first_name = row.optional_text("first_name"),
                            .last_name = row.optional_text("last_name"),
                            .is_admin = row.integer("is_admin") != 0,
                            .created_at = time_column(row, "created_at"),
                            .last_seen = time_column(row, "last_seen")});
}

// Others see only themselves.
void limit_to_visible_users(const Caller& caller, Where& where) {
    if (caller.sees_all()) return;
    where.add("id = :visible_user");
    where.parameters.set("visible_user", caller.user_id);
}

Task<http::Response> create(const Context* context) {
    auto body = body_of<contracts::UserCreate>(*context);
    if (!body) co_return body.error();
    auto made = co_await context->database.query(
        fmt::format("INSERT INTO users (telegram_id, username, first_name, last_name, is_admin, created_at, last_seen) "
                    "VALUES (:telegram_id, :username, :first_name, :last_name, :is_admin, :now, :now) RETURNING {}",
                    kColumns),
        {{"telegram_id", body->telegram_id},
         {"username", body->username},
         {"first_name", body->first_name},
         {"last_name", body->last_name},
         {"is_admin", body->is_admin},
         {"now", to_micros(context->now)}});
    if (!made && made.error().code == "duplicate") {
        co_return http::problem(409, fmt::format("a user with telegram_id {} exists already; see /api/users/upsert",
                                                 body->telegram_id.value_or(0)));
    }
    if (!made) co_return problem_of(made.error());
    co_return json_text(201, write_user(made->rows.at(0)));
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
        {fmt::format(
             "INSERT INTO users (telegram_id, username, first_name, last_name, is_admin, created_at, last_seen) "
             "VALUES (:telegram_id, :username, :first_name, :last_name, coalesce(:is_admin, 0), :now, :now) "
             "ON CONFLICT (telegram_id) DO UPDATE SET username = coalesce(:username, users.username), "
             "first_name = coalesce(:first_name, users.first_name), "
             "last_name = coalesce(:last_name, users.last_name), "
             "is_admin = coalesce(:is_admin, users.is_admin), last_seen = :now RETURNING {}",
             kColumns),
         {{"telegram_id", body->telegram_id},
          {"username", body->username},
          {"first_name", body->first_name},
          {"last_name", body->last_name},
          {"is_admin", body->is_admin},
          {"now", to_micros(context->now)}},
         {}});
    auto done = co_await context->database.atomically(std::move(statements));
    if (!done) co_return problem_of(done.error());
    co_return json_text(done->at(0).rows.empty() ? 201 : 200, write_user(done->at(1).rows.at(0)));
}

Task<http::Response> list(const Context* context) {
    auto page = Page::parse(context->match);
    if (!page) co_return page.error();
    Where where;
    limit_to_visible_users(context->caller, where);
    if (auto filtered = filter_number(*context, "telegram_id", where); !filtered) co_return filtered.error();
    auto select = page->select(kColumns, "users", std::move(where), Page::Id::number);
    auto rows = co_await context->database.query(std::move(select.sql), std::move(select.parameters));
    if (!rows) co_return problem_of(rows.error());
    co_return page->answer(rows->rows, context->request.target, write_user);
}

Task<http::Response> get_by(const Context* context, std::string column, std::string text) {
    const auto number = Context::number(text);
    if (!number) co_return not_found("user", text);
    Where where;
    where.equals(column, *number);
    limit_to_visible_users(context->caller, where);
    auto rows = co_await context->database.query(fmt::format("SELECT {} FROM users{}", kColumns, where.sql()),
                                                 where.parameters);
    if (!rows) co_return problem_of(rows.error());
    if (rows->rows.empty()) co_return not_found("user", text);
    co_return json_text(200, write_user(rows->rows.front()));
}

Task<http::Response> get(const Context* context) { return get_by(context, "id", context->param("id")); }
Task<http::Response> get_by_telegram(const Context* context) {
    return get_by(context, "telegram_id", context->param("telegram_id"));
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
