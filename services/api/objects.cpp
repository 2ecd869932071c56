#include "services/api/objects.hpp"

#include <fmt/format.h>

#include "services/api/secret_key.hpp"

namespace codegen::api {
namespace {

http::Response no_such(const Table& table, std::string_view id) { return not_found(table.what, id); }

http::Response done_without_body() {
    http::Response response;
    response.status = 204;
    return response;
}

http::Response refused(const Table& table, const Error& error) {
    if (error.code == "constraint") {
        return http::problem(422, fmt::format("the {} names something that does not exist", table.what),
                             table.reference.empty()
                                 ? FieldErrors{}
                                 : FieldErrors{{std::string(table.reference), "names nothing that exists"}});
    }
    if (error.code == "duplicate") return http::problem(409, fmt::format("such a {} exists already", table.what));
    return problem_of(error);
}

// One writing statement. A sealed value goes in together with the claim that its key is still the database's; rotation
// changes that row, so that neither overtakes the other.
Task<Result<storage::Rows>> write(const Context* context, std::string sql, storage::Parameters parameters,
                                  std::string sealed_with) {
    if (sealed_with.empty()) {
        auto rows = co_await context->database.query(std::move(sql), std::move(parameters));
        co_return rows;
    }
    std::vector<storage::Statement> statements;
    statements.push_back(claim_key(sealed_with, context->now));
    statements.push_back({std::move(sql), std::move(parameters), {}});
    auto done = co_await context->database.atomically(std::move(statements));
    if (!done && done.error().code == "conflict")
        co_return fail(ErrorCategory::transient, "rotated",
                       "the key of the database was changed: start the api again with the new one");
    if (!done) co_return std::unexpected(done.error());
    co_return std::move(done->at(1));
}

struct Tag {
    std::int64_t created = 0;
    std::int64_t revision = 0;
};

// "1768046400000000-3", with quotes around it; what gzip added is dropped.
std::optional<Tag> tag_of(std::string_view text) {
    if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::nullopt;
    text = text.substr(1, text.size() - 2);
    if (text.ends_with("-gzip")) text.remove_suffix(5);
    const auto dash = text.rfind('-');
    if (dash == text.npos || dash == 0) return std::nullopt;
    const auto created = Context::number(text.substr(0, dash));
    const auto revision = Context::number(text.substr(dash + 1));
    if (!created || !revision) return std::nullopt;
    return Tag{*created, *revision};
}

}  // namespace

void Filters::refuse(std::string_view name, std::string_view value, std::string_view expected) {
    if (refusal) return;
    refusal =
        http::problem(422, "the query is not valid",
                      {{std::string(name), fmt::format("is \"{}\": expected {}", value.substr(0, 80), expected)}});
}

Filters& Filters::text(std::string_view name) {
    if (const auto* given = context_.query(name)) where.equals(name, *given);
    return *this;
}

Filters& Filters::id(std::string_view name) {
    if (const auto* given = context_.query(name)) where.equals(name, lower_case(*given));
    return *this;
}

Filters& Filters::number(std::string_view name) {
    const auto* given = context_.query(name);
    if (!given) return *this;
    if (const auto value = Context::number(*given))
        where.equals(name, *value);
    else
        refuse(name, *given, "an integer");
    return *this;
}

Filters& Filters::boolean(std::string_view name) {
    const auto* given = context_.query(name);
    if (!given) return *this;
    const bool yes = *given == "true" || *given == "1";
    if (yes || *given == "false" || *given == "0")
        where.equals(name, std::int64_t{yes});
    else
        refuse(name, *given, "true or false");
    return *this;
}

std::optional<storage::Value> key_of(const Table& table, const std::string& id) {
    if (table.id == Page::Id::text) return id;
    if (const auto number = Context::number(id)) return *number;
    return std::nullopt;
}

Task<http::Response> answer_list(const Context* context, const Table* table, Filters filters) {
    auto page = Page::parse(context->match);
    if (!page) co_return page.error();
    if (filters.refusal) co_return std::move(*filters.refusal);
    auto select = page->select(table->columns, table->name, std::move(filters.where), table->id, table->key);
    auto rows = co_await context->database.query(std::move(select.sql), std::move(select.parameters));
    if (!rows) co_return problem_of(rows.error());
    co_return page->answer(rows->rows, context->request.target, table->write);
}

Task<http::Response> answer_object(const Context* context, const Table* table, Where where, std::string id) {
    const auto key = key_of(*table, id);
    if (!key) co_return no_such(*table, id);
    where.equals(table->key, *key);
    auto rows = co_await context->database.query(fmt::format("SELECT * FROM {}{}", table->name, where.sql()),
                                                 std::move(where.parameters));
    if (!rows) co_return problem_of(rows.error());
    if (rows->rows.empty()) co_return no_such(*table, id);
    co_return object_answer(200, *table, rows->rows.front());
}

Task<http::Response> answer_made(const Context* context, const Table* table, Assignments values, std::string key) {
    const auto hash = values.parameters.values.find("request_hash");
    const auto same = hash == values.parameters.values.end() ? std::string() : std::get<std::string>(hash->second);
    values.set("created_at", to_micros(context->now));
    auto made = co_await write(context, values.insert_into(table->name) + " RETURNING *", std::move(values.parameters),
                               values.sealed_with);
    if (!made && made.error().code == "duplicate" && !same.empty()) {
        auto repeated = co_await answer_repeated(context, table, std::move(key), same);
        co_return repeated;
    }
    if (!made) co_return refused(*table, made.error());
    co_return object_answer(201, *table, made->rows.at(0));
}

Task<http::Response> answer_changed(const Context* context, const Table* table, Where where, std::string id,
                                    Assignments changes) {
    const auto key = key_of(*table, id);
    if (!key) co_return no_such(*table, id);
    where.equals(table->key, *key);
    const auto visible = where;
    demand_match(context->request, where);
    changes.others.emplace_back("revision = revision + 1");
    changes.parameters.values.insert(where.parameters.values.begin(), where.parameters.values.end());
    auto rows =
        co_await write(context, fmt::format("UPDATE {} SET {}{} RETURNING *", table->name, changes.sql(), where.sql()),
                       std::move(changes.parameters), changes.sealed_with);
    if (!rows) co_return refused(*table, rows.error());
    if (!rows->rows.empty()) co_return object_answer(200, *table, rows->rows.front());
    if (!demands_match(context->request)) co_return no_such(*table, id);
    auto there = co_await context->database.query(
        fmt::format("SELECT {} FROM {}{}", table->key, table->name, visible.sql()), visible.parameters);
    if (!there) co_return problem_of(there.error());
    if (there->rows.empty()) co_return no_such(*table, id);
    co_return http::problem(412, fmt::format("the {} is not as If-Match says; read it again", table->what));
}

Task<http::Response> answer_removed(const Context* context, const Table* table, Where where, std::string id) {
    const auto key = key_of(*table, id);
    if (!key) co_return no_such(*table, id);
    where.equals(table->key, *key);
    auto gone = co_await context->database.query(fmt::format("DELETE FROM {}{}", table->name, where.sql()),
                                                 std::move(where.parameters));
    if (!gone && gone.error().code == "constraint")
        co_return http::problem(
            409, fmt::format("other objects still belong to {} {}; remove them first", table->what, id.substr(0, 100)));
    if (!gone) co_return problem_of(gone.error());
    if (gone->affected == 0) co_return no_such(*table, id);
    co_return done_without_body();
}

Task<http::Response> answer_repeated(const Context* context, const Table* table, std::string id, std::string hash) {
    auto found = co_await context->database.query(
        fmt::format("SELECT * FROM {} WHERE {} = :id", table->name, table->key), {{"id", id}});
    if (!found) co_return problem_of(found.error());
    if (!found->rows.empty() && found->rows.front().text("request_hash") == hash)
        co_return object_answer(200, *table, found->rows.front());
    co_return http::problem(409, fmt::format("{} {} exists already and was made with another body", table->what, id));
}

Task<std::expected<bool, http::Response>> exists(const Context* context, const Table* table, std::string id) {
    auto found = co_await context->database.query(
        fmt::format("SELECT {0} FROM {1} WHERE {0} = :id", table->key, table->name), {{"id", std::move(id)}});
    if (!found) co_return std::unexpected(problem_of(found.error()));
    co_return !found->rows.empty();
}

void limit_to_own_projects(const Caller& caller, std::string_view column, Where& where) {
    if (caller.sees_all()) return;
    Where projects;
    limit_to_visible_projects(caller, projects);
    where.add(fmt::format("{} IN (SELECT id FROM projects{})", column, projects.sql()));
    where.parameters.values.insert(projects.parameters.values.begin(), projects.parameters.values.end());
}

void limit_to_visible_servers(const Caller& caller, std::string_view column, Where& where) {
    if (caller.sees_all()) return;
    Where own;
    limit_to_own_projects(caller, "project_id", own);
    where.add(
        fmt::format("{0} IN (SELECT server_handle FROM allocations{1} UNION SELECT server_handle FROM "
                    "service_deployments{1})",
                    column, own.sql()));
    where.parameters.values.insert(own.parameters.values.begin(), own.parameters.values.end());
}

std::string sealed_place(const Table& table, std::string_view id) { return fmt::format("{}/{}", table.name, id); }

std::string etag_of(const storage::Row& row) {
    return fmt::format("\"{}-{}\"", row.integer("created_at"), row.integer("revision"));
}

http::Response object_answer(unsigned status, const Table& table, const storage::Row& row) {
    auto response = json_text(status, table.write(row));
    if (row.has("revision")) response.headers.set("ETag", etag_of(row));
    return response;
}

bool demands_match(const http::Request& request) {
    const auto header = request.headers.get("If-Match");
    return header && *header != "*";
}

void demand_match(const http::Request& request, Where& where) {
    if (!demands_match(request)) return;
    std::string_view rest = *request.headers.get("If-Match");
    std::string any;
    for (int i = 0; !rest.empty(); ++i) {
        const auto end = rest.find(',');
        auto one = rest.substr(0, end);
        rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
        while (one.starts_with(' ') || one.starts_with('\t')) one.remove_prefix(1);
        while (one.ends_with(' ') || one.ends_with('\t')) one.remove_suffix(1);
        const auto tag = tag_of(one);
        if (!tag || i >= 16) continue;  // a weak one, or not ours: it matches nothing
        any += fmt::format("{}(created_at = :match_created_{} AND revision = :match_revision_{})",
                           any.empty() ? "" : " OR ", i, i);
        where.parameters.set(fmt::format("match_created_{}", i), tag->created);
        where.parameters.set(fmt::format("match_revision_{}", i), tag->revision);
    }
    where.add(any.empty() ? "1 = 0" : "(" + any + ")");
}

}  // namespace codegen::api
