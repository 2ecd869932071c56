// The database of one test: SQLite, or PostgreSQL when CODEGEN_TEST_STORE says "postgres". CMake registers the tests of
// a module with STORES once for each.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "shared/storage/database.hpp"
#include "shared/testing/temp_directory.hpp"
#include "shared/testing/temp_postgres.hpp"

namespace codegen::testing {

class TestStore {
  public:
    // As the environment says. `io` outlives it.
    explicit TestStore(asio::io_context& io);
    TestStore(asio::io_context& io, bool postgres);

    // Another way to the same data, as another process would have it. Throws when there is none.
    std::unique_ptr<storage::Database> open() const;
    std::string url() const;  // DATABASE_URL
    // Whether these bytes stand in any of its files.
    bool holds(std::string_view bytes) const;
    bool is_postgres() const { return postgres_.has_value(); }
    TempPostgres& postgres() { return postgres_.value(); }

  private:
    asio::io_context& io_;
    TempDirectory directory_;
    std::optional<TempPostgres> postgres_;
};

}  // namespace codegen::testing
