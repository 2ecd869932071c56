// A directory of one piece of work, gone with it - or, when its process was killed, at the next start of any.
#pragma once
#include <filesystem>

#include "shared/base/result.hpp"

namespace codegen::scaffolder {

class WorkDirectory {
  public:
    // Made below `parent` with mode 0700.
    static Result<WorkDirectory> make(const std::filesystem::path& parent);
    WorkDirectory(WorkDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    WorkDirectory& operator=(WorkDirectory&&) = delete;
    ~WorkDirectory();

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }
    // An empty directory in it.
    Result<std::filesystem::path> folder(const std::filesystem::path& name) const;

  private:
    explicit WorkDirectory(std::filesystem::path path) : path_(std::move(path)) {}
    std::filesystem::path path_;
};

// Removes those below `parent` whose process of this machine is gone. How many.
std::size_t remove_abandoned(const std::filesystem::path& parent);

}  // namespace codegen::scaffolder
