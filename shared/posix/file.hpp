// Files that others may have written, and files that must survive a crash. Blocking; small files only.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "shared/base/result.hpp"
#include "shared/posix/fd.hpp"

namespace codegen::posix {

// "open /x: No such file or directory" as a permanent error, code "not_found" for ENOENT, else "io".
std::unexpected<Error> errno_error(std::string_view what, int error_number);

// The whole file: regular, not a symlink (O_NOFOLLOW), at most `limit` bytes; else an error, code "too_large" for size.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit);
Result<Fd> open_regular(const std::filesystem::path& path);  // read-only, O_NOFOLLOW, regular

// Written to a temporary beside it, synced, renamed, directory synced: after success it survives a power cut,
// before that the old content stands.
Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view content, mode_t mode);
// The same without the syncs, which can take 10 ms: whole for every reader, but gone or old after a power cut.
Result<void> replace_file(const std::filesystem::path& path, std::string_view content, mode_t mode);

// The same as write_file_atomically() where nothing stands yet; else error "exists" and nothing is changed, also when
// several try at once.
Result<void> write_new_file(const std::filesystem::path& path, std::string_view content, mode_t mode);

// mkdir -p for the last element only, with exactly this mode whatever the umask; existing directories get the mode too.
Result<void> make_directory(const std::filesystem::path& path, mode_t mode);

// Unix socket addresses hold 107 bytes. Returns `path` when it fits, else "/proc/self/fd/<n>/<name>" with `directory`
// holding the open directory: keep it open until connect or bind has returned.
struct SocketPath {
    std::string path;
    Fd directory;
};
Result<SocketPath> short_socket_path(const std::filesystem::path& path);

}  // namespace codegen::posix
