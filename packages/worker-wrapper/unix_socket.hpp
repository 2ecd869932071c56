// Unix stream sockets, non-blocking and close-on-exec, at paths of any length.
#pragma once
#include <filesystem>

#include "shared/base/result.hpp"
#include "shared/posix/fd.hpp"

namespace codegen::wrapper {

Result<posix::Fd> connect_unix(const std::filesystem::path& path);  // code "not_found" or "io" or "busy" (backlog full)
// Replaces what stands there; the file gets exactly `mode`. Its group is the effective one of the caller.
Result<posix::Fd> listen_unix(const std::filesystem::path& path, mode_t mode);
Result<posix::Fd> listen_loopback(int port);  // 127.0.0.1; port 0: any

}  // namespace codegen::wrapper
