// The project's code base while no scaffolder makes one: a local bare repository with one initial commit on main.
#pragma once
#include <chrono>
#include <filesystem>
#include <string>

#include "shared/async/async.hpp"

namespace codegen::workflow {

// <directory>/<project_id>.git. Reused when it is there. Made under a temporary name beside it and renamed, so that
// nobody ever sees half of one; two makers at once are fine, the second one's is thrown away. Hooks and the host's git
// configuration play no part. Returns the repository's absolute path. Errors: transient "git" (names the step and git's
// last line), permanent "io".
Task<Result<std::filesystem::path>> make_repository(std::filesystem::path directory, std::string project_id,
                                                    std::string project_name);

// Removes the temporary ones that a killed process left, once they are older than any making takes. How many.
std::size_t remove_half_made(const std::filesystem::path& directory, std::chrono::minutes older_than);

}  // namespace codegen::workflow
