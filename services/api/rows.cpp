#include "services/api/rows.hpp"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <charconv>

#include "shared/http/url.hpp"
#include "shared/json/json.hpp"
#include "shared/logging/log.hpp"

namespace codegen::api {
namespace {

constexpr std::size_t kLongestTime = 18;  // digits of a cursor's time in microseconds

template <class Number>
std::optional<Number> number_of(std::string_view text) {
    Number number{};
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
    return number;
}

std::string cursor_of(const storage::Row& row) {
    return fmt::format("{}.{}", row.integer("page_time"), row.text("page_id"));
}

std::unexpected<http::Response> invalid_query(std::string name, std::string message) {
    return std::unexpected(http::problem(422, "the query is not valid", {{std::move(name), std::move(message)}}));
}

// `target` with its cursor replaced.
std::string next_target(std::string_view target, std::string_view cursor) {
    const auto question = target.find('?');
    std::string next(target.substr(0, question));
    next += '?';
    if (question != std::string_view::npos) {
        std::string_view query = target.substr(question + 1);
        while (!query.empty()) {
            const auto end = query.find('&');
            const auto field = query.substr(0, end);
            if (!field.empty() && !field.starts_with("cursor=")) next.append(field).append("&");
            query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
        }
    }
    return next + "cursor=" + http::percent_encode(cursor);
}

}  // namespace

http::Response problem_of(const Error& error) {
    if (error.code == "duplicate" || error.code == "conflict") return http::problem(409, error.message);
    if (error.code == "constraint") return http::problem(422, error.message);
    if (error.code == "invalid")
        return http::problem(422, "the database cannot hold such a value: a text with a NUL, or a number too large");
    log::error("the database refused", {{"error", error.message}});
    return http::problem(503, "the database cannot serve this request now; the reason is in the log of the api");
}

http::Response not_found(std::string_view what, std::string_view id) {
    return http::problem(404, fmt::format("no {} {}", what, id.substr(0, 100)));
}

http::Response json_text(unsigned status, std::string body) {
    http::Response response;
    response.status = status;
    response.headers.set("Content-Type", "application/json");
    response.body = std::move(body);
    return response;
}

boost::json::object object_column(const storage::Row& row, std::string_view column) {
    return json::parse_own(row.text(column)).as_object();
}

std::vector<std::string> string_list(const std::string& json_array) {
    std::vector<std::string> strings;
    for (const auto& element : json::parse_own(json_array).as_array()) strings.emplace_back(element.as_string());
    return strings;
}

std::string json_list(const std::vector<std::string>& strings) {
    boost::json::array array;
    for (const auto& text : strings) array.emplace_back(text);
    return boost::json::serialize(array);
}

Timestamp time_column(const storage::Row& row, std::string_view column) { return from_micros(row.integer(column)); }

void Assignments::set(std::string_view column, storage::Value value) {
    if (std::ranges::find(columns, column) == columns.end()) columns.emplace_back(column);
    parameters.set(column, std::move(value));
}

void Assignments::set_sealed(std::string_view column, std::string value, std::string key_id) {
    set(column, std::move(value));
    sealed_with = std::move(key_id);
}

void Assignments::drop(std::string_view column) {
    std::erase(columns, column);
    if (const auto at = parameters.values.find(column); at != parameters.values.end()) parameters.values.erase(at);
}

std::string Assignments::sql() const {
    auto all = others;
    for (const auto& column : columns) all.push_back(fmt::format("{0} = :{0}", column));
    return fmt::format("{}", fmt::join(all, ", "));
}

std::string Assignments::insert_into(std::string_view table) const {
    return fmt::format("INSERT INTO {} ({}) VALUES (:{})", table, fmt::join(columns, ", "), fmt::join(columns, ", :"));
}

void Where::add(std::string condition) { conditions.push_back(std::move(condition)); }

void Where::equals(std::string_view column, storage::Value value) {
    add(fmt::format("{0} = :{0}", column));
    parameters.set(column, std::move(value));
}

std::string Where::sql() const {
    return conditions.empty() ? "" : fmt::format(" WHERE {}", fmt::join(conditions, " AND "));
}

std::expected<Page, http::Response> Page::parse(const http::Match& match) {
    Page page;
    if (const auto limit = match.query.find("limit"); limit != match.query.end()) {
        const auto number = number_of<std::int64_t>(limit->second);
        if (!number || *number < 1 || *number > 500) {
            return invalid_query("limit", fmt::format("is \"{}\": expected 1 to 500", limit->second.substr(0, 40)));
        }
        page.limit_ = *number;
    }
    if (const auto cursor = match.query.find("cursor"); cursor != match.query.end()) {
        const std::string_view text = cursor->second;
        const auto dot = text.find('.');
        const bool looks_right = dot != text.npos && dot > 0 && dot <= kLongestTime && text.front() != '-';
        const auto time = !looks_right ? std::nullopt : number_of<std::int64_t>(text.substr(0, dot));
        if (!time || dot + 1 == text.size()) {
            return invalid_query("cursor", "is not one of ours: take it from the Link header of the page before");
        }
        page.after_time_ = *time;
        page.after_id_ = text.substr(dot + 1);
    }
    return page;
}

storage::Statement Page::select(std::string_view columns, std::string_view table, Where where, Id id,
                                std::string_view key) const {
    if (!after_id_.empty()) {
        where.add(fmt::format("(created_at > :page_time OR (created_at = :page_time AND {} > :page_id))", key));
        where.parameters.set("page_time", after_time_);
        if (id == Id::number) {
            where.parameters.set("page_id", number_of<std::int64_t>(after_id_).value_or(0));
        } else {
            where.parameters.set("page_id", after_id_);
        }
    }
    where.parameters.set("page_limit", limit_ + 1);
    return {fmt::format("SELECT {0}, created_at AS page_time, CAST({1} AS TEXT) AS page_id FROM {2}{3} "
                        "ORDER BY created_at, {1} LIMIT :page_limit",
                        columns, key, table, where.sql()),
            std::move(where.parameters),
            {}};
}

http::Response Page::answer(const std::vector<storage::Row>& rows, std::string_view target,
                            const std::function<std::string(const storage::Row&)>& write_row) const {
    const auto shown = std::min(rows.size(), static_cast<std::size_t>(limit_));
    std::string body = "[";
    for (std::size_t i = 0; i < shown; ++i) {
        if (i > 0) body += ',';
        body += write_row(rows[i]);
    }
    auto response = json_text(200, body + "]");
    if (rows.size() > shown) {
        response.headers.set("Link",
                             fmt::format("<{}>; rel=\"next\"", next_target(target, cursor_of(rows[shown - 1]))));
    }
    return response;
}

}  // namespace codegen::api
