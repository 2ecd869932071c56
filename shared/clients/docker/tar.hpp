// Build contexts and image roots as a tar stream, made while it is sent. Format: POSIX ustar, IEEE Std 1003.1 "pax",
// numbers that do not fit in base 256 (GNU). Entries are owned by root, with a fixed time: equal input, equal bytes.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "shared/base/result.hpp"

namespace codegen::clients {

// The body of an upload: the next piece (at most 256 KiB), empty at the end. Reads files, so it blocks for a disk read.
using BodySource = std::function<Result<std::string>()>;

struct TarEntry {
    enum class Kind { file, directory } kind = Kind::file;
    std::string name;  // relative, at most 99 bytes
    unsigned mode = 0644;
    std::string content;         // of a file, unless `file` is set
    std::filesystem::path file;  // read while sending; its size must not change
};

BodySource tar_source(std::vector<TarEntry> entries);
BodySource file_source(const std::filesystem::path& file);

}  // namespace codegen::clients
