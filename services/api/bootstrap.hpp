// The first start: tables, the admin user, the three tokens in files.
#pragma once
#include <filesystem>

#include "shared/base/timestamp.hpp"
#include "shared/storage/database.hpp"

namespace codegen::api {

// See Service::bootstrap.
Task<Result<void>> prepare_store(storage::Database* database, std::filesystem::path state_directory, Timestamp now);

}  // namespace codegen::api
