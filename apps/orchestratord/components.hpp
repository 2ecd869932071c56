// What every role keeps in the database: the roles make their tables from this list before they start, and what reads a
// backup knows from it what this program can read.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "shared/storage/backup.hpp"

namespace codegen::orchestratord {

struct Component {
    std::string_view role;
    std::string_view name;  // in schema_migrations
    std::vector<storage::Migration> migrations;
};

std::span<const std::string_view> role_names();
std::vector<Component> components();  // of all roles

// Makes what `role` keeps, where it is missing. A database that a newer program has changed is refused.
Task<Result<void>> migrate(storage::Database* database, std::string_view role);
// Where a database is after migrate() for every role.
storage::SchemaVersions known_versions();

}  // namespace codegen::orchestratord
