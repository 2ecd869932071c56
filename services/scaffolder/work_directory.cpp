#include "services/scaffolder/work_directory.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"

namespace codegen::scaffolder {
namespace fs = std::filesystem;

namespace {

void remove_whole(const fs::path& path) {
    std::error_code error;
    fs::remove_all(path, error);
    if (!error) return;
    // What forbids its owner to look into it.
    std::error_code ignored;
    for (auto it = fs::recursive_directory_iterator(path, ignored); !ignored && it != end(it); it.increment(ignored))
        if (it->is_directory(error) && !it->is_symlink(error))
            fs::permissions(it->path(), fs::perms::owner_all, fs::perm_options::add, error);
    fs::remove_all(path, ignored);
}

}  // namespace

// <pid>.<its start time>.<random>
Result<WorkDirectory> WorkDirectory::make(const fs::path& parent) {
    if (auto made = posix::make_directory(parent, 0700); !made) return std::unexpected(made.error());
    const auto path =
        parent / fmt::format("{}.{}.{}", ::getpid(), process::start_time(::getpid()).value_or(0), random_token(6));
    if (auto made = posix::make_directory(path, 0700); !made) return std::unexpected(made.error());
    return WorkDirectory(path);
}

WorkDirectory::~WorkDirectory() {
    if (!path_.empty()) remove_whole(path_);
}

Result<fs::path> WorkDirectory::folder(const fs::path& name) const {
    if (auto made = posix::make_directory(path_ / name, 0700); !made) return std::unexpected(made.error());
    return path_ / name;
}

std::size_t remove_abandoned(const fs::path& parent) {
    std::size_t removed = 0;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(parent, ignored)) {
        const auto name = entry.path().filename().string();
        int pid = 0;
        std::uint64_t started = 0;
        const auto* end = name.data() + name.size();
        const auto first = std::from_chars(name.data(), end, pid);
        if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') continue;
        const auto second = std::from_chars(first.ptr + 1, end, started);
        if (second.ec != std::errc{} || second.ptr == end || *second.ptr != '.') continue;
        if (process::start_time(pid) == started) continue;
        remove_whole(entry.path());
        ++removed;
    }
    return removed;
}

}  // namespace codegen::scaffolder
