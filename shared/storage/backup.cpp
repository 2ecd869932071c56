#include "shared/storage/backup.hpp"

#include <fmt/format.h>

#include "shared/storage/backup_files.hpp"

namespace codegen::storage {

Result<void> check_known(const SchemaVersions& of_file, const SchemaVersions& known,
                         const std::filesystem::path& file) {
    if (of_file.empty())
        return fail(ErrorCategory::fatal, "database",
                    fmt::format("{}: no backup of a control plane: it has no schema_migrations", file.string()));
    for (const auto& [component, version] : of_file) {
        const auto ours = known.find(component);
        if (ours == known.end() || version > ours->second)
            return fail(ErrorCategory::fatal, "database",
                        fmt::format("{}: {} has version {}, this program knows {}: restore it with the newer program",
                                    file.string(), component, version, ours == known.end() ? 0 : ours->second));
    }
    return {};
}

std::unexpected<Error> not_empty(std::string_view store) {
    return fail(ErrorCategory::permanent, "conflict",
                fmt::format("{} is not empty: --force replaces everything in it", store));
}

std::unexpected<Error> in_use(std::string_view store) {
    return fail(ErrorCategory::permanent, "conflict",
                fmt::format("{} is in use: stop every control plane on it first", store));
}

Task<Result<SchemaVersions>> schema_versions(Database* database) {
    const bool postgres = database->is_postgres();
    auto there = co_await database->query(
        postgres ? "SELECT count(*) AS n FROM pg_tables WHERE tablename = 'schema_migrations' AND "
                   "schemaname = ANY (current_schemas(false))"
                 : "SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'");
    if (!there) co_return std::unexpected(there.error());
    SchemaVersions versions;
    if (there->rows.at(0).integer("n") == 0) co_return versions;
    auto rows =
        co_await database->query("SELECT component, max(version) AS version FROM schema_migrations GROUP BY component");
    if (!rows) co_return std::unexpected(rows.error());
    for (const auto& row : rows->rows) versions[row.text("component")] = row.integer("version");
    co_return versions;
}

Task<Result<void>> back_up(std::string store, std::filesystem::path file) {
    std::error_code ignored;
    if (std::filesystem::exists(std::filesystem::symlink_status(file, ignored)))
        co_return fail(ErrorCategory::permanent, "conflict",
                       fmt::format("{} exists already: choose another name", file.string()));
    if (!is_postgres_url(store)) co_return back_up_sqlite(store, file);
    auto done = co_await back_up_postgres(std::move(store), std::move(file));
    co_return done;
}

Task<Result<void>> restore(std::string store, std::filesystem::path file, SchemaVersions known, bool force) {
    if (!is_postgres_url(store)) co_return restore_sqlite(store, file, known, force);
    auto done = co_await restore_postgres(std::move(store), std::move(file), std::move(known), force);
    co_return done;
}

}  // namespace codegen::storage
