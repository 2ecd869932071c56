// A directory of one test, gone with it.
#pragma once
#include <filesystem>
#include <string>

namespace codegen::testing {

// Made below TMPDIR (or /tmp) with mode 0700; removed with everything in it, also where modes forbid it. Throws when it
// cannot be made. The path is short enough for unix sockets in it.
class TempDirectory {
  public:
    TempDirectory();
    ~TempDirectory();
    TempDirectory(const TempDirectory&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

}  // namespace codegen::testing
