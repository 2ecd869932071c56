// The two kinds of backup, for backup.cpp.
#pragma once
#include "shared/storage/backup.hpp"

namespace codegen::storage {

// As back_up() and restore(). Those of SQLite block.
Result<void> back_up_sqlite(const std::filesystem::path& store, const std::filesystem::path& file);
Result<void> restore_sqlite(const std::filesystem::path& store, const std::filesystem::path& file,
                            const SchemaVersions& known, bool force);
Task<Result<void>> back_up_postgres(std::string url, std::filesystem::path file);
Task<Result<void>> restore_postgres(std::string url, std::filesystem::path file, SchemaVersions known, bool force);

Result<void> check_known(const SchemaVersions& of_file, const SchemaVersions& known, const std::filesystem::path& file);
std::unexpected<Error> not_empty(std::string_view store);
std::unexpected<Error> in_use(std::string_view store);

}  // namespace codegen::storage
