// The store behind one interface: SQLite and PostgreSQL behind the same calls. SQL in the subset both understand
// (upsert, RETURNING, keyset paging, partial indexes, window functions); times as microseconds in bigint; booleans
// as 0/1. DDL in one spelling too: INTEGER PRIMARY KEY AUTOINCREMENT becomes an identity column.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "shared/async/async.hpp"

namespace codegen::storage {

using Value = std::variant<std::monostate, std::int64_t, double, std::string>;  // monostate: NULL

struct Parameter {
    template <class T>
    Parameter(std::string_view n, T&& v) : name(n), value(std::forward<T>(v)) {}
    template <class T>
    Parameter(std::string_view n, const std::optional<T>& v) : name(n), value(v ? Value(*v) : Value()) {}
    template <class T>
    Parameter(std::string_view n, std::optional<T>& v) : Parameter(n, std::as_const(v)) {}
    template <class T>
    Parameter(std::string_view n, std::optional<T>&& v) : Parameter(n, std::as_const(v)) {}
    std::string_view name;
    Value value;
};

// Bound by name: {{"id", id}, {"spec", optional_text}} for ":id", ":spec". Every name in the SQL must be bound, and no
// other: else the call fails (fatal "database").
struct Parameters {
    Parameters() = default;
    Parameters(std::initializer_list<Parameter> list);
    void set(std::string_view name, Value value);
    template <class T>
    void set(std::string_view name, const std::optional<T>& value) {
        set(name, value ? Value(*value) : Value());
    }
    std::map<std::string, Value, std::less<>> values;
};

class Row {
  public:
    Row(std::shared_ptr<const std::vector<std::string>> names, std::vector<Value> values);
    // By column name. An unknown column or a type that does not convert is a bug in the caller: throws
    // std::logic_error.
    std::string text(std::string_view column) const;
    std::int64_t integer(std::string_view column) const;
    double real(std::string_view column) const;
    bool is_null(std::string_view column) const;
    bool has(std::string_view column) const;
    std::optional<std::string> optional_text(std::string_view column) const;
    std::optional<std::int64_t> optional_integer(std::string_view column) const;

  private:
    const Value& at(std::string_view column) const;
    std::shared_ptr<const std::vector<std::string>> names_;
    std::vector<Value> values_;
};

struct Rows {
    std::vector<Row> rows;
    std::int64_t affected = 0;  // INSERT, UPDATE, DELETE
};

struct Statement {
    std::string sql;
    Parameters parameters;
    // When set and another number of rows was affected, the whole transaction is rolled back with code "conflict".
    std::optional<std::int64_t> expect_affected;
};

// What a committed transaction is worth after a power cut. `relaxed` may be undone then, never in part: for what would
// just be done again. It spares the wait for the disk.
enum class Durability { synced, relaxed };

struct Migration {
    int version;                // 1, 2, ...
    std::string name;           // for people
    std::string sql;            // one or more statements
    std::string postgres = {};  // what PostgreSQL runs instead; empty: the same
};

// Use on one thread. Errors: permanent "duplicate" (unique), "constraint", "conflict", "invalid" (PostgreSQL: a value
// that it cannot hold, such as NUL in a text); transient "busy", "unavailable" (PostgreSQL: no connection; whether a
// write took effect is unknown then); fatal "database" (no space, read only, damaged, refused, wrong SQL). SQLite works
// inside the call: nothing is pending while a coroutine waits, and cancellation has no effect. With PostgreSQL the
// outcome of a cancelled call is unknown. A database outlives what uses it.
//
// A transaction must hold under PostgreSQL's READ COMMITTED: what it depends on is in the conditions of its own
// statements (WHERE revision = :revision with expect_affected), never in an earlier read.
class Database {
  public:
    virtual ~Database() = default;
    virtual Task<Result<Rows>> query(std::string sql, Parameters parameters = {}) = 0;
    // All in one transaction or none; results in order.
    virtual Task<Result<std::vector<Rows>>> atomically(std::vector<Statement> statements,
                                                       Durability durability = Durability::synced) = 0;
    // Applies what is missing, in order, under a lock; refuses (fatal) when the database is newer than `migrations`.
    // `component` keeps the migrations of services apart ("api", "workflow", "worker_manager").
    virtual Task<Result<void>> migrate(std::string component, std::vector<Migration> migrations) = 0;
    // For the few statements that have no common spelling (full-text search).
    virtual bool is_postgres() const = 0;
};

// WAL, synchronous=FULL, foreign keys on, busy timeout 5 s, file mode 0600. ":memory:" for tests.
Result<std::unique_ptr<Database>> open_sqlite(const std::filesystem::path& path);

struct PostgresOptions {
    std::size_t connections = 8;                     // at most
    std::chrono::milliseconds connect_limit{10000};  // a call that finds no server: "unavailable" or "timeout"
    std::chrono::milliseconds call_limit{30000};     // a call that gets no answer: "timeout"
};
// `url`: postgresql://user:password@host:port/database, or as libpq reads it. Connects at the first call, and again
// when a connection is lost. Looking up a host name blocks.
Result<std::unique_ptr<Database>> open_postgres(asio::any_io_executor executor, const std::string& url,
                                                PostgresOptions options = {});
// postgresql:// or postgres://
bool is_postgres_url(std::string_view text);

}  // namespace codegen::storage
