#include "packages/worker-wrapper/pipes.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "shared/posix/file.hpp"

namespace codegen::wrapper {

namespace {
constexpr int kPipeSize = 1 << 20;
}

Result<posix::Fd> PipeReader::open() {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return posix::errno_error("pipe", errno);
    fd_ = posix::Fd(ends[0]);
    fcntl(fd_.get(), F_SETFL, O_NONBLOCK);      // our end only: programs do not expect EAGAIN
    fcntl(fd_.get(), F_SETPIPE_SZ, kPipeSize);  // a wish: droid drops what it could not write before its end
    loop_.watch(fd_.get(), EPOLLIN, [this](std::uint32_t) { read_some(); });
    return posix::Fd(ends[1]);
}

bool PipeReader::read_some() {
    if (!fd_) return false;
    std::array<char, 65536> buffer;
    const auto count = ::read(fd_.get(), buffer.data(), buffer.size());
    if (count > 0) {
        on_data_({buffer.data(), static_cast<std::size_t>(count)});
        return true;
    }
    if (count < 0 && errno == EINTR) return true;
    if (count == 0 || errno != EAGAIN) close();
    return false;
}

void PipeReader::drain() {
    while (read_some()) {
    }
    close();
}

void PipeReader::close() {
    if (fd_) loop_.unwatch(fd_.get());
    fd_.reset();
}

Result<posix::Fd> PipeWriter::open(std::string text) {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return posix::errno_error("pipe", errno);
    posix::Fd child(ends[0]);
    fd_ = posix::Fd(ends[1]);
    fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
    fcntl(fd_.get(), F_SETPIPE_SZ, kPipeSize);  // a wish: most prompts then go in at once
    text_ = std::move(text);
    written_ = 0;
    write_some();
    if (fd_) loop_.watch(fd_.get(), EPOLLOUT, [this](std::uint32_t) { write_some(); });
    return child;
}

void PipeWriter::write_some() {
    while (written_ < text_.size()) {
        const auto count = ::write(fd_.get(), text_.data() + written_, text_.size() - written_);
        if (count > 0) {
            written_ += static_cast<std::size_t>(count);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            break;
        }
    }
    close();
}

void PipeWriter::close() {
    if (fd_) loop_.unwatch(fd_.get());
    fd_.reset();
    text_ = {};
}

}  // namespace codegen::wrapper
