#include "packages/worker-wrapper/record_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace codegen::wrapper {

bool RecordFile::open() {
    file_ = posix::Fd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
    struct stat st{};
    if (!file_ || ::fstat(file_.get(), &st) != 0) return false;
    size_ = static_cast<std::size_t>(st.st_size);
    return true;
}

void RecordFile::append(std::string_view piece) {
    piece = piece.substr(0, half_);
    if (piece.empty()) return;
    if (!file_ && !open()) return;
    if (size_ + piece.size() > half_) {
        const auto older = path_.string() + ".1";
        if (::rename(path_.c_str(), older.c_str()) != 0 || !open()) return;
    }
    const auto n = ::write(file_.get(), piece.data(), piece.size());
    if (n > 0) size_ += static_cast<std::size_t>(n);
}

}  // namespace codegen::wrapper
