#include "shared/storage/transactions.hpp"

#include <fmt/format.h>

#include "shared/base/timestamp.hpp"

namespace codegen::storage {

Result<std::vector<Migration>> missing_migrations(std::int64_t present, const std::vector<Migration>& migrations) {
    const auto known = static_cast<std::int64_t>(migrations.size());
    if (present > known)
        return fail(ErrorCategory::fatal, "database",
                    fmt::format("the database has version {}, this program knows {}: start the newer program, or "
                                "another state directory",
                                present, known));
    for (std::int64_t i = 0; i < known; ++i)
        if (migrations[static_cast<std::size_t>(i)].version != i + 1)
            return fail(ErrorCategory::fatal, "database", "versions must be 1, 2, ... in order");
    return std::vector<Migration>(migrations.begin() + present, migrations.end());
}

std::string describe(const Migration& migration) {
    return fmt::format("version {} ({})", migration.version, migration.name);
}

Statement migration_note(const std::string& component, const Migration& migration) {
    return {
        "INSERT INTO schema_migrations (component, version, name, applied_at) "
        "VALUES (:component, :version, :name, :applied_at)",
        {{"component", component},
         {"version", std::int64_t{migration.version}},
         {"name", migration.name},
         {"applied_at", to_micros(system_now())}},
        {}};
}

Result<Rows> as_expected(const Statement& statement, Rows rows) {
    if (statement.expect_affected && rows.affected != *statement.expect_affected)
        return fail(ErrorCategory::permanent, "conflict",
                    fmt::format("database: {} rows changed, expected {}", rows.affected, *statement.expect_affected));
    return rows;
}

}  // namespace codegen::storage
