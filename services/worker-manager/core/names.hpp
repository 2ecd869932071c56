// Names that come from messages and become paths, refs or keys. Pure.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "shared/base/result.hpp"

namespace codegen::worker_manager {

// is_worker_name() and not reserved; `path` is the field's place.
Result<void> check_worker_id(std::string_view id, std::string path);
// A branch that work may go to: "task/<name>" of [A-Za-z0-9._-], no "..", no ".lock", at most 200 characters.
Result<void> check_branch(std::string_view branch, std::string path);
// A branch, tag or sha to start from: what git-check-ref-format allows, no leading "-", no "@{", no ":".
Result<void> check_base_ref(std::string_view ref, std::string path);
// An image as the engine takes it: [host[:port]/]name[:tag][@sha256:...], or the id of one (sha256:...).
Result<void> check_image_reference(std::string_view reference, std::string path);
bool is_full_sha(std::string_view text);  // 40 or 64 lower-case hex digits

// The bare repository of `url`: an absolute path or file:// URL below `repositories` (after symlinks are resolved), or
// the name of one in it.
Result<std::filesystem::path> local_repository(const std::filesystem::path& repositories, std::string_view url);

}  // namespace codegen::worker_manager
