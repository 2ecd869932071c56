#include "shared/testing/temp_directory.hpp"

#include <stdlib.h>

#include <system_error>

namespace codegen::testing {
namespace fs = std::filesystem;

TempDirectory::TempDirectory() {
    std::string pattern = (fs::temp_directory_path() / "cg-XXXXXX").native();
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::system_error(errno, std::generic_category(), "mkdtemp " + pattern);
    }
    path_ = pattern;
}

TempDirectory::~TempDirectory() {
    std::error_code error;
    fs::remove_all(path_, error);
    if (!error) return;
    // A test took the write permission of a directory away.
    for (auto it = fs::recursive_directory_iterator(path_, fs::directory_options::skip_permission_denied, error);
         !error && it != end(it); it.increment(error)) {
        std::error_code ignored;
        if (it->is_directory(ignored) && !it->is_symlink(ignored)) {
            fs::permissions(it->path(), fs::perms::owner_all, ignored);
        }
    }
    fs::remove_all(path_, error);
}

}  // namespace codegen::testing
