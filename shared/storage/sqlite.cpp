// The SQLite behind Database. https://www.sqlite.org/c3ref/intro.html
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <unordered_map>

#include "shared/storage/transactions.hpp"

namespace codegen::storage {
namespace {

constexpr std::size_t kCachedStatements = 256;

struct CloseConnection {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
};
using Connection = std::unique_ptr<sqlite3, CloseConnection>;

struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Prepared = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

// A statement that is not reset keeps its lock: then the write lock stays taken and the WAL grows without end.
class ResetOnExit {
  public:
    explicit ResetOnExit(sqlite3_stmt* statement) : statement_(statement) {}
    ResetOnExit(const ResetOnExit&) = delete;
    ~ResetOnExit() {
        sqlite3_reset(statement_);
        sqlite3_clear_bindings(statement_);
    }

  private:
    sqlite3_stmt* statement_;
};

std::unexpected<Error> fatal(std::string message) { return fail(ErrorCategory::fatal, "database", std::move(message)); }

std::unexpected<Error> error_of(sqlite3* connection, int code) {
    std::string message = fmt::format("database: {}", sqlite3_errmsg(connection));
    switch (code & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return fail(ErrorCategory::transient, "busy", message + " (another process holds its lock)");
        case SQLITE_CONSTRAINT: {
            const bool unique = code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
                                code == SQLITE_CONSTRAINT_ROWID;
            return fail(ErrorCategory::permanent, unique ? "duplicate" : "constraint", std::move(message));
        }
        case SQLITE_FULL:
            return fatal(message + ": free some space on its file system");
        default:
            return fatal(std::move(message));
    }
}

void bind(sqlite3_stmt* statement, int index, const Value& value) {
    // SQLITE_STATIC: the values outlive the execution.
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        sqlite3_bind_int64(statement, index, *integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
        sqlite3_bind_double(statement, index, *real);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
        sqlite3_bind_text64(statement, index, text->data(), text->size(), nullptr, SQLITE_UTF8);
    } else {
        sqlite3_bind_null(statement, index);
    }
}

Value column(sqlite3_stmt* statement, int index) {
    switch (sqlite3_column_type(statement, index)) {
        case SQLITE_NULL:
            return {};
        case SQLITE_INTEGER:
            return static_cast<std::int64_t>(sqlite3_column_int64(statement, index));
        case SQLITE_FLOAT:
            return sqlite3_column_double(statement, index);
        default: {
            const void* bytes = sqlite3_column_blob(statement, index);
            const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, index));
            return bytes ? std::string(static_cast<const char*>(bytes), size) : std::string();
        }
    }
}

class Sqlite final : public Database {
  public:
    explicit Sqlite(Connection connection) : connection_(std::move(connection)) {}

    Task<Result<Rows>> query(std::string sql, Parameters parameters) override { co_return execute(sql, parameters); }
    Task<Result<std::vector<Rows>>> atomically(std::vector<Statement> statements, Durability durability) override {
        if (durability == Durability::synced) co_return transaction(statements);
        // The next synced commit writes this one's pages too.
        if (auto relaxed = script("PRAGMA synchronous = NORMAL"); !relaxed) co_return std::unexpected(relaxed.error());
        auto done = transaction(statements);
        if (auto strict = script("PRAGMA synchronous = FULL"); !strict) co_return std::unexpected(strict.error());
        co_return done;
    }
    Task<Result<void>> migrate(std::string component, std::vector<Migration> migrations) override {
        co_return apply(component, migrations);
    }
    bool is_postgres() const override { return false; }

    // One or more statements without parameters or results.
    Result<void> script(const std::string& sql) {
        const int code = sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr);
        if (code != SQLITE_OK) return error_of(connection_.get(), code);
        return {};
    }

    Result<Rows> execute(const std::string& sql, const Parameters& parameters) {
        auto statement = prepared(sql);
        if (!statement) return std::unexpected(statement.error());
        const ResetOnExit reset(*statement);
        if (auto bound = bind_all(*statement, parameters, sql); !bound) return std::unexpected(bound.error());

        auto names = std::make_shared<std::vector<std::string>>();
        const int columns = sqlite3_column_count(*statement);
        for (int i = 0; i < columns; ++i) names->emplace_back(sqlite3_column_name(*statement, i));
        Rows result;
        const auto changes_before = sqlite3_total_changes64(connection_.get());
        int code = SQLITE_ROW;
        while ((code = sqlite3_step(*statement)) == SQLITE_ROW) {
            std::vector<Value> values;
            values.reserve(static_cast<std::size_t>(columns));
            for (int i = 0; i < columns; ++i) values.push_back(column(*statement, i));
            result.rows.emplace_back(names, std::move(values));
        }
        if (code != SQLITE_DONE) return error_of(connection_.get(), code);
        // changes() keeps the figure of an earlier statement when this one changed nothing (CREATE, SELECT).
        if (sqlite3_total_changes64(connection_.get()) != changes_before) {
            result.affected = sqlite3_changes64(connection_.get());
        }
        return result;
    }

  private:
    Result<sqlite3_stmt*> prepared(const std::string& sql) {
        if (const auto found = statements_.find(sql); found != statements_.end()) return found->second.get();
        sqlite3_stmt* raw = nullptr;
        const char* tail = nullptr;
        const int code = sqlite3_prepare_v3(connection_.get(), sql.c_str(), static_cast<int>(sql.size() + 1),
                                            SQLITE_PREPARE_PERSISTENT, &raw, &tail);
        Prepared statement(raw);
        if (code != SQLITE_OK) return error_of(connection_.get(), code);
        if (!statement || std::string_view(tail).find_first_not_of(" \t\r\n;") != std::string_view::npos) {
            return fatal("database: exactly one statement a query: " + sql);
        }
        // Texts are built from a fixed set of parts; the bound only guards against a caller that writes values into
        // SQL.
        if (statements_.size() >= kCachedStatements) statements_.clear();
        return statements_.emplace(sql, std::move(statement)).first->second.get();
    }

    static Result<void> bind_all(sqlite3_stmt* statement, const Parameters& parameters, const std::string& sql) {
        const int count = sqlite3_bind_parameter_count(statement);
        for (int i = 1; i <= count; ++i) {
            const char* name = sqlite3_bind_parameter_name(statement, i);
            const auto value = name ? parameters.values.find(std::string_view(name + 1)) : parameters.values.end();
            if (value == parameters.values.end()) {
                return fatal(fmt::format("database: parameter {} is not bound in: {}", name ? name : "?", sql));
            }
            bind(statement, i, value->second);
        }
        if (parameters.values.size() != static_cast<std::size_t>(count)) {
            return fatal("database: a parameter is bound that does not occur in: " + sql);
        }
        return {};
    }

    void rollback() {
        // Some errors (no space, I/O) have rolled back already.
        if (!sqlite3_get_autocommit(connection_.get())) {
            sqlite3_exec(connection_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
        }
    }

    Result<std::vector<Rows>> transaction(const std::vector<Statement>& statements) {
        // IMMEDIATE: a transaction that starts reading and then writes could fail with "busy" at once.
        if (auto begun = script("BEGIN IMMEDIATE"); !begun) return std::unexpected(begun.error());
        std::vector<Rows> results;
        for (const auto& statement : statements) {
            auto rows = execute(statement.sql, statement.parameters);
            if (rows) rows = as_expected(statement, std::move(*rows));
            if (!rows) {
                rollback();
                return std::unexpected(rows.error());
            }
            results.push_back(std::move(*rows));
        }
        if (auto committed = script("COMMIT"); !committed) {
            rollback();
            return std::unexpected(committed.error());
        }
        return results;
    }

    Result<void> apply(const std::string& component, const std::vector<Migration>& migrations) {
        if (auto begun = script("BEGIN IMMEDIATE"); !begun) return begun;
        auto done = apply_missing(component, migrations);
        if (done) done = script("COMMIT");
        if (!done) {
            rollback();
            return std::unexpected(in_context(done.error(), "migrations of " + component));
        }
        return {};
    }

    Result<void> apply_missing(const std::string& component, const std::vector<Migration>& migrations) {
        auto table = script(std::string(kMigrationsTable));
        if (!table) return table;
        auto rows = execute(std::string(kMigrationVersion), {{"component", component}});
        if (!rows) return std::unexpected(rows.error());
        const auto missing = missing_migrations(rows->rows.at(0).integer("version"), migrations);
        if (!missing) return std::unexpected(missing.error());
        for (const auto& migration : *missing) {
            auto applied = script(migration.sql);
            if (!applied) return std::unexpected(in_context(applied.error(), describe(migration)));
            const auto note = migration_note(component, migration);
            auto noted = execute(note.sql, note.parameters);
            if (!noted) return std::unexpected(noted.error());
        }
        return {};
    }

    Connection connection_;
    std::unordered_map<std::string, Prepared> statements_;  // after connection_: finalized before it closes
};

// SQLite gives its -wal and -shm files the mode of the database. The file is not opened here when it exists: closing a
// second descriptor would drop the POSIX locks that this process holds on it.
Result<void> prepare_file(const std::filesystem::path& path) {
    const auto refuse = [&](int error) {
        return fatal(fmt::format("database {}: {}", path.string(), std::generic_category().message(error)));
    };
    const int created = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (created >= 0) {
        ::close(created);
    } else if (errno != EEXIST) {
        return refuse(errno);
    }
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) return refuse(errno);
    if (!S_ISREG(status.st_mode)) return fatal(fmt::format("database {}: not a regular file", path.string()));
    if ((status.st_mode & 0777) != 0600 && ::chmod(path.c_str(), 0600) != 0) return refuse(errno);
    return {};
}

}  // namespace

Result<std::unique_ptr<Database>> open_sqlite(const std::filesystem::path& path) {
    if (path != ":memory:") {
        if (auto ready = prepare_file(path); !ready) return std::unexpected(ready.error());
    }
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(
        path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
        nullptr);
    Connection connection(raw);
    if (code != SQLITE_OK) {
        return fatal(fmt::format("database {}: {}", path.string(), raw ? sqlite3_errmsg(raw) : "no memory"));
    }
    sqlite3_busy_timeout(raw, 5000);
    // Double quotes are identifiers only, as in PostgreSQL.
    sqlite3_db_config(raw, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
    sqlite3_db_config(raw, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
    auto database = std::make_unique<Sqlite>(std::move(connection));
    // trusted_schema stays on: the index of full-text search is kept by triggers, and Debian's FTS5 does not call
    // itself innocuous. The file is ours alone (0600).
    auto set = database->script(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
        "PRAGMA journal_size_limit = 67108864");
    if (!set) return std::unexpected(in_context(set.error(), path.string()));
    return database;
}

}  // namespace codegen::storage
