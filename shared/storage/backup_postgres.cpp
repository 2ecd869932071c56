// https://www.postgresql.org/docs/15/backup-dump.html
#include <fcntl.h>
#include <fmt/format.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>

#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"
#include "shared/storage/backup_files.hpp"

namespace codegen::storage {
namespace {

namespace fs = std::filesystem;

constexpr process::Limits kLimits{.timeout = std::chrono::hours(4), .output_bytes = 16u << 20};

std::unexpected<Error> refuse(std::string why) { return fail(ErrorCategory::fatal, "database", std::move(why)); }

// How to reach the database, as libpq's environment: a password on the command line is everybody's to read.
Result<std::map<std::string, std::string>> environment_of(const std::string& url) {
    auto* options = PQconninfoParse(url.c_str(), nullptr);
    if (!options) return refuse("DATABASE_URL cannot be read: expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE");
    auto environment = process::minimal_environment();
    // What the URL leaves out, libpq takes from the environment here: there too, or it would be another database.
    for (const auto* option = options; option->keyword != nullptr; ++option) {
        if (!option->envvar) continue;
        if (option->val)
            environment[option->envvar] = option->val;
        else if (const char* own = std::getenv(option->envvar))
            environment[option->envvar] = own;
    }
    for (const char* name : {"PGSERVICEFILE", "PGSYSCONFDIR", "PGPASSFILE"})
        if (const char* own = std::getenv(name)) environment.emplace(name, own);
    PQconninfoFree(options);
    return environment;
}

Task<Result<std::string>> call(std::string url, std::vector<std::string> argv) {
    auto environment = environment_of(url);
    if (!environment) co_return std::unexpected(environment.error());
    process::Spec spec;
    spec.argv = std::move(argv);
    spec.environment = std::move(*environment);
    const auto program = spec.argv.front();
    auto outcome = co_await process::run(std::move(spec), kLimits);
    if (!outcome && outcome.error().code == "spawn")
        co_return refuse(fmt::format("{} cannot be started ({}): install postgresql-client, of the server's version",
                                     program, outcome.error().message));
    if (!outcome) co_return std::unexpected(outcome.error());
    if (!outcome->ok()) co_return refuse(fmt::format("{}: {}", program, outcome->describe()));
    co_return std::move(outcome->output);
}

// The rows of schema_migrations in pg_restore's text: "COPY ... FROM stdin;", lines of columns between tabs, "\.".
SchemaVersions versions_in(std::string_view text) {
    SchemaVersions versions;
    bool in_rows = false;
    while (!text.empty()) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        text = end == text.npos ? std::string_view() : text.substr(end + 1);
        if (line.starts_with("COPY ")) {
            in_rows = line.contains("schema_migrations");
        } else if (line == "\\.") {
            in_rows = false;
        } else if (in_rows) {
            const auto tab = line.find('\t');
            if (tab == line.npos) continue;
            std::int64_t version = 0;
            const auto number = line.substr(tab + 1);
            std::from_chars(number.data(), number.data() + number.size(), version);
            auto& highest = versions[std::string(line.substr(0, tab))];
            highest = std::max(highest, version);
        }
    }
    return versions;
}

// The folder of what is between pg_restore and psql; gone with the object.
class Scratch {
  public:
    Scratch() {
        std::string pattern = (fs::temp_directory_path() / "codegen-restore-XXXXXX").string();
        if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
    }
    Scratch(const Scratch&) = delete;
    ~Scratch() {
        std::error_code ignored;
        if (!path_.empty()) fs::remove_all(path_, ignored);
    }
    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

Task<Result<std::vector<std::string>>> tables_of(Database* database) {
    auto rows = co_await database->query(
        "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename");
    if (!rows) co_return std::unexpected(rows.error());
    std::vector<std::string> names;
    for (const auto& row : rows->rows) names.push_back(row.text("name"));
    co_return names;
}

// A connection that was closed a moment ago may still be listed.
Task<Result<void>> check_alone(Database* database) {
    constexpr int kLooks = 20;
    for (int look = 1;; ++look) {
        auto rows = co_await database->query(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND "
            "pid <> pg_backend_pid() AND backend_type = 'client backend'");
        if (!rows) co_return std::unexpected(rows.error());
        if (rows->rows.at(0).integer("n") == 0) co_return Result<void>();
        if (look == kLooks) co_return in_use("the database");
        co_await async::sleep_for(std::chrono::milliseconds(100));
    }
}

}  // namespace

Task<Result<void>> back_up_postgres(std::string url, fs::path file) {
    const fs::path unfinished = file.string() + ".unfinished";
    std::error_code error;
    fs::remove(unfinished, error);
    const int fd = ::open(unfinished.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) co_return posix::errno_error("open " + unfinished.string(), errno);
    ::close(fd);
    auto dumped = co_await call(std::move(url), {"pg_dump", "--format=custom", "--no-owner", "--no-privileges",
                                                 "--file=" + unfinished.string()});
    if (dumped) {
        fs::rename(unfinished, file, error);
        if (error) dumped = refuse(fmt::format("{}: {}", file.string(), error.message()));
    }
    if (!dumped) {
        fs::remove(unfinished, error);
        co_return std::unexpected(dumped.error());
    }
    co_return Result<void>();
}

Task<Result<void>> restore_postgres(std::string url, fs::path file, SchemaVersions known, bool force) {
    auto rows =
        co_await call(url, {"pg_restore", "--data-only", "--table=schema_migrations", "--file=-", file.string()});
    if (!rows) co_return std::unexpected(in_context(rows.error(), file.string()));
    if (auto fine = check_known(versions_in(*rows), known, file); !fine) co_return fine;

    auto database = open_postgres(co_await asio::this_coro::executor, url, {.connections = 1});
    if (!database) co_return std::unexpected(database.error());
    auto alone = co_await check_alone(database->get());
    if (!alone) co_return alone;
    auto tables = co_await tables_of(database->get());
    if (!tables) co_return std::unexpected(tables.error());
    if (!tables->empty() && !force) co_return not_empty("the database");

    const Scratch scratch;
    if (scratch.path().empty()) co_return posix::errno_error("mkdtemp", errno);
    std::string drop = "SET lock_timeout = '10s';\n";
    if (!tables->empty()) drop += fmt::format("DROP TABLE {} CASCADE;\n", fmt::join(*tables, ", "));
    if (auto written = posix::replace_file(scratch.path() / "drop.sql", drop, 0600); !written) co_return written;
    auto script = co_await call(url, {"pg_restore", "--no-owner", "--no-privileges",
                                      "--file=" + (scratch.path() / "restore.sql").string(), file.string()});
    if (!script) co_return std::unexpected(in_context(script.error(), file.string()));
    // Both in one transaction: what was there is gone only when the backup is in.
    auto done = co_await call(url, {"psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction",
                                    "--file=" + (scratch.path() / "drop.sql").string(),
                                    "--file=" + (scratch.path() / "restore.sql").string()});
    if (!done) co_return std::unexpected(done.error());
    co_return Result<void>();
}

}  // namespace codegen::storage
