// https://www.sqlite.org/backup.html
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <system_error>
#include <thread>

#include "shared/storage/backup_files.hpp"

namespace codegen::storage {
namespace {

namespace fs = std::filesystem;

struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
};
using Connection = std::unique_ptr<sqlite3, Close>;

constexpr int kBusyMilliseconds = 5000;

std::unexpected<Error> refuse(const fs::path& file, std::string_view why) {
    return fail(ErrorCategory::fatal, "database", fmt::format("{}: {}", file.string(), why));
}

Result<Connection> open(const fs::path& file, int flags) {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(file.c_str(), &raw, flags | SQLITE_OPEN_EXRESCODE, nullptr);
    Connection connection(raw);
    if (code != SQLITE_OK) return refuse(file, raw ? sqlite3_errmsg(raw) : "no memory");
    sqlite3_busy_timeout(raw, kBusyMilliseconds);
    return connection;
}

Result<void> run(sqlite3* connection, const fs::path& file, const char* sql) {
    if (sqlite3_exec(connection, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
        return refuse(file, sqlite3_errmsg(connection));
    return {};
}

// Every row's columns as text.
Result<std::vector<std::vector<std::string>>> ask(sqlite3* connection, const fs::path& file, const char* sql) {
    std::vector<std::vector<std::string>> rows;
    const auto take = [](void* out, int columns, char** values, char**) {
        auto& row = static_cast<decltype(rows)*>(out)->emplace_back();
        for (int i = 0; i < columns; ++i) row.emplace_back(values[i] ? values[i] : "");
        return 0;
    };
    if (sqlite3_exec(connection, sql, take, &rows, nullptr) != SQLITE_OK)
        return refuse(file, sqlite3_errmsg(connection));
    return rows;
}

// All pages in one step: one moment of the source, and nothing of an unfinished copy.
Result<void> copy(sqlite3* from, sqlite3* to, const fs::path& target) {
    auto* backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup) return refuse(target, sqlite3_errmsg(to));
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kBusyMilliseconds);
    int code = SQLITE_BUSY;
    while ((code = sqlite3_backup_step(backup, -1)) == SQLITE_BUSY || code == SQLITE_LOCKED) {
        if (std::chrono::steady_clock::now() > until) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    sqlite3_backup_finish(backup);
    if (code != SQLITE_DONE) return refuse(target, sqlite3_errstr(code));
    return {};
}

Result<void> sync(const fs::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const bool done = fd >= 0 && ::fsync(fd) == 0;
    const int error = errno;
    if (fd >= 0) ::close(fd);
    if (!done) return refuse(path, std::generic_category().message(error));
    return {};
}

Result<void> write_copy(sqlite3* from, const fs::path& file) {
    const int fd = ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) return refuse(file, std::generic_category().message(errno));
    ::close(fd);
    auto to = open(file, SQLITE_OPEN_READWRITE);
    if (!to) return std::unexpected(to.error());
    if (auto copied = copy(from, to->get(), file); !copied) return copied;
    // The copy says WAL, as its source: one file alone is easier to carry away.
    if (auto single = run(to->get(), file, "PRAGMA journal_mode = DELETE"); !single) return single;
    to->reset();
    return sync(file);
}

Result<SchemaVersions> versions_of(sqlite3* connection, const fs::path& file) {
    auto there = ask(connection, file, "SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'");
    if (!there) return std::unexpected(there.error());
    SchemaVersions versions;
    if (there->empty()) return versions;
    auto rows = ask(connection, file, "SELECT component, max(version) FROM schema_migrations GROUP BY component");
    if (!rows) return std::unexpected(rows.error());
    for (const auto& row : *rows) versions[row[0]] = std::stoll(row[1]);
    return versions;
}

Result<void> check_whole(sqlite3* connection, const fs::path& file) {
    auto rows = ask(connection, file, "PRAGMA integrity_check(1)");
    if (!rows) return std::unexpected(rows.error());
    if (rows->size() != 1 || rows->front().front() != "ok")
        return refuse(file, "damaged: " + (rows->empty() ? "no answer" : rows->front().front()));
    return {};
}

}  // namespace

Result<void> back_up_sqlite(const fs::path& store, const fs::path& file) {
    auto from = open(store, SQLITE_OPEN_READWRITE);  // a reader of a WAL needs its index
    if (!from) return std::unexpected(from.error());
    const fs::path unfinished = file.string() + ".unfinished";
    std::error_code error;
    fs::remove(unfinished, error);
    auto written = write_copy(from->get(), unfinished);
    if (written) {
        fs::rename(unfinished, file, error);
        if (error) written = refuse(file, error.message());
    }
    if (!written) {
        fs::remove(unfinished, error);
        return written;
    }
    return sync(file.has_parent_path() ? file.parent_path() : fs::path("."));
}

Result<void> restore_sqlite(const fs::path& store, const fs::path& file, const SchemaVersions& known, bool force) {
    auto from = open(file, SQLITE_OPEN_READONLY);
    if (!from) return std::unexpected(from.error());
    auto versions = versions_of(from->get(), file);
    if (!versions) return std::unexpected(in_context(versions.error(), "not a backup of SQLite"));
    if (auto fine = check_known(*versions, known, file); !fine) return fine;
    if (auto whole = check_whole(from->get(), file); !whole) return whole;
    // As everybody else opens it: makes the file, with its mode.
    if (auto made = open_sqlite(store); !made) return std::unexpected(made.error());
    auto to = open(store, SQLITE_OPEN_READWRITE);
    if (!to) return std::unexpected(to.error());
    sqlite3_busy_timeout(to->get(), 0);
    // Leaving the WAL needs the file alone: another process that has it open makes this fail.
    auto alone = ask(to->get(), store, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE");
    if (!alone || alone->back().front() != "delete") return in_use(store.string());
    auto tables = ask(to->get(), store, "SELECT name FROM sqlite_master LIMIT 1");
    if (!tables) return std::unexpected(tables.error());
    if (!tables->empty() && !force) return not_empty(store.string());
    if (auto copied = copy(from->get(), to->get(), store); !copied) return copied;
    to->reset();
    auto opened = open_sqlite(store);
    if (!opened) return std::unexpected(opened.error());
    return {};
}

}  // namespace codegen::storage
