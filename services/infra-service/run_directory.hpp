// The files of one provisioning: keys, host key, inventory. They are gone when it is over, also when its process died.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "shared/base/result.hpp"
#include "shared/posix/fd.hpp"

namespace codegen::infra {

// A folder of mode 0700, locked as long as this lives, removed with it. Blocking; small files only.
class RunDirectory {
  public:
    static Result<RunDirectory> make(const std::filesystem::path& runs);  // `runs` is made, its parent exists
    RunDirectory(RunDirectory&& other) noexcept = default;
    RunDirectory& operator=(RunDirectory&&) = delete;
    ~RunDirectory();

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
    Result<std::filesystem::path> write(std::string_view name, std::string_view content, unsigned mode = 0600) const;
    // Whose tree is to be killed should this process die first.
    void note_process(int pid) const;

  private:
    RunDirectory(std::filesystem::path path, posix::Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
    std::filesystem::path path_;
    posix::Fd lock_;
};

// What a process that died left in `runs`: its processes are killed, its files removed. How many runs.
int remove_left_runs(const std::filesystem::path& runs);

}  // namespace codegen::infra
