// What the stores do alike: which migrations are missing, and whether a statement did what was expected. Pure; for the
// files of this folder.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "shared/storage/database.hpp"

namespace codegen::storage {

inline constexpr std::string_view kMigrationsTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations (component TEXT NOT NULL, version BIGINT NOT NULL, "
    "name TEXT NOT NULL, applied_at BIGINT NOT NULL, PRIMARY KEY (component, version))";
inline constexpr std::string_view kMigrationVersion =
    "SELECT coalesce(max(version), 0) AS version FROM schema_migrations WHERE component = :component";

// Those after version `present`. Errors (fatal): the database is newer; a version out of order.
Result<std::vector<Migration>> missing_migrations(std::int64_t present, const std::vector<Migration>& migrations);
std::string describe(const Migration& migration);  // "version 2 (more)"
Statement migration_note(const std::string& component, const Migration& migration);

// `rows`, or "conflict" when another number of them was affected than the statement expects.
Result<Rows> as_expected(const Statement& statement, Rows rows);

}  // namespace codegen::storage
