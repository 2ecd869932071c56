// A copy of a whole store in one file, and back. `store` is what DATABASE_URL says: a path, or postgresql://.
// SQLite: the online backup API; the file is a database. PostgreSQL: pg_dump and pg_restore, which must be installed
// (postgresql-client); the file is their custom format.
#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "shared/storage/database.hpp"

namespace codegen::storage {

using SchemaVersions = std::map<std::string, std::int64_t>;  // by component

// What the migrations of this database have reached; empty: nothing was ever migrated.
Task<Result<SchemaVersions>> schema_versions(Database* database);

// Consistent while others write: one moment of the store. `file` must not exist; it appears when it is whole (0600).
// It holds what the store holds, secrets still encrypted: their key is not in it.
Task<Result<void>> back_up(std::string store, std::filesystem::path file);

// Replaces the whole content of the store by the file's, or changes nothing. Refused (permanent "conflict"): the store
// is in use; it is not empty, unless `force`. Fatal "database": the file is no backup, damaged, of the other kind of
// store, or newer than `known`.
Task<Result<void>> restore(std::string store, std::filesystem::path file, SchemaVersions known, bool force);

}  // namespace codegen::storage
