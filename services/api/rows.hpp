// What the resources share between HTTP and SQL: errors, JSON and enum columns, changes, keyset pages.
#pragma once
#include <boost/json/object.hpp>
#include <expected>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/timestamp.hpp"
#include "shared/http/message.hpp"
#include "shared/http/router.hpp"
#include "shared/json/enum.hpp"
#include "shared/storage/database.hpp"

namespace codegen::api {

// duplicate and conflict: 409; a reference to nothing: 422; busy and every failure of the store: 503 (the reason goes
// to the log, not to the caller).
http::Response problem_of(const Error& error);
http::Response not_found(std::string_view what, std::string_view id);
http::Response json_text(unsigned status, std::string body);  // `body` is JSON

// Columns. What they hold was written by us: anything else is a damaged database, std::runtime_error.
boost::json::object object_column(const storage::Row& row, std::string_view column);
std::vector<std::string> string_list(const std::string& json_array);
std::string json_list(const std::vector<std::string>& strings);
Timestamp time_column(const storage::Row& row, std::string_view column);
template <class E>
E enum_column(const storage::Row& row, std::string_view column) {
    const auto value = json::enum_from<E>(row.text(column));
    if (!value) throw std::runtime_error("unknown value in column " + std::string(column) + ": " + row.text(column));
    return *value;
}

// "a = :a, b = :b" with its values: for UPDATE, and for INSERT.
struct Assignments {
    void set(std::string_view column, storage::Value value);
    template <class T>
    void set(std::string_view column, const std::optional<T>& value) {
        set(column, value ? storage::Value(*value) : storage::Value());
    }
    // A sealed value: written only while `key_id` is the key of the database (secret_key.hpp).
    void set_sealed(std::string_view column, std::string value, std::string key_id);
    void drop(std::string_view column);
    std::string sql() const;
    std::string insert_into(std::string_view table) const;  // "INSERT INTO table (a, b) VALUES (:a, :b)"
    std::vector<std::string> columns;
    std::vector<std::string> others;  // "revision = revision + 1": not for INSERT
    storage::Parameters parameters;
    std::string sealed_with;  // empty: nothing is sealed
};

// Conditions joined by AND.
struct Where {
    void add(std::string condition);  // SQL, with the parameters set beside it
    void equals(std::string_view column, storage::Value value);
    std::string sql() const;  // " WHERE ..." or ""
    std::vector<std::string> conditions;
    storage::Parameters parameters;
};

// `limit` and `cursor` of a list. Rows are in the order (created_at, key), oldest first; the cursor holds both of the
// last row, so a page costs the same however deep it is.
class Page {
  public:
    // 422 for a limit outside 1..500 or a cursor that we did not make.
    static std::expected<Page, http::Response> parse(const http::Match& match);

    enum class Id { text, number };
    // SELECT `columns` FROM `table` with `where`, ordered, one row more than asked for.
    storage::Statement select(std::string_view columns, std::string_view table, Where where, Id id,
                              std::string_view key) const;
    // The answer: `write_row` each, and `Link` when there are more.
    http::Response answer(const std::vector<storage::Row>& rows, std::string_view target,
                          const std::function<std::string(const storage::Row&)>& write_row) const;

  private:
    std::int64_t limit_ = 100;
    std::int64_t after_time_ = 0;
    std::string after_id_;  // empty: from the start
};

}  // namespace codegen::api
