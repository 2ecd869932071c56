// What an operator does with the database beside running on it: back it up, put it back, change the key of its secrets.
// Each runs to its end, prints one line on stdout and returns what went wrong.
#pragma once
#include <filesystem>

#include "apps/orchestratord/configuration.hpp"

namespace codegen::orchestratord {

Result<void> back_up(const Configuration& configuration, const Configuration::Environment& environment,
                     const std::filesystem::path& file);
Result<void> put_back(const Configuration& configuration, const Configuration::Environment& environment,
                      const std::filesystem::path& file, bool force);
// `new_key_file` may be empty (services/api/secret_key.hpp).
Result<void> rotate_secrets(const Configuration& configuration, const Configuration::Environment& environment,
                            const std::filesystem::path& new_key_file);

}  // namespace codegen::orchestratord
