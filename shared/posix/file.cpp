#include "shared/posix/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "shared/base/ids.hpp"

namespace codegen::posix {
namespace fs = std::filesystem;

std::unexpected<Error> errno_error(std::string_view what, int error_number) {
    return fail(ErrorCategory::permanent, error_number == ENOENT ? "not_found" : "io",
                fmt::format("{}: {}", what, std::strerror(error_number)));
}

Result<Fd> open_regular(const fs::path& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd) return errno_error(fmt::format("open {}", path.string()), errno);
    struct stat st{};
    if (::fstat(fd.get(), &st) != 0) return errno_error(fmt::format("stat {}", path.string()), errno);
    if (!S_ISREG(st.st_mode))
        return fail(ErrorCategory::permanent, "io", fmt::format("{} is not a regular file", path.string()));
    return fd;
}

Result<std::string> read_file(const fs::path& path, std::size_t limit) {
    auto fd = open_regular(path);
    if (!fd) return std::unexpected(fd.error());
    std::string out;
    char buffer[16384];
    for (;;) {
        const auto n = ::read(fd->get(), buffer, sizeof buffer);
        if (n == 0) return out;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_error(fmt::format("read {}", path.string()), errno);
        if (out.size() + static_cast<std::size_t>(n) > limit)
            return fail(ErrorCategory::permanent, "too_large",
                        fmt::format("{} is larger than {} bytes", path.string(), limit));
        out.append(buffer, static_cast<std::size_t>(n));
    }
}

namespace {

enum class Place { any, free };

Result<void> write_whole(const fs::path& path, std::string_view content, mode_t mode, bool synced, Place place) {
    const auto temporary = path.parent_path() / fmt::format(".{}.{}", path.filename().string(), random_token(6));
    auto give_up = [&](std::string_view what) {
        const int e = errno;
        ::unlink(temporary.c_str());
        return errno_error(fmt::format("{} {}", what, path.string()), e);
    };
    Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!fd) return errno_error(fmt::format("create {}", temporary.string()), errno);
    if (::fchmod(fd.get(), mode) != 0) return give_up("set mode of");
    for (std::size_t done = 0; done < content.size();) {
        const auto n = ::write(fd.get(), content.data() + done, content.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return give_up("write");
        done += static_cast<std::size_t>(n);
    }
    if (synced && ::fsync(fd.get()) != 0) return give_up("sync");
    if (place == Place::free) {
        const int linked = ::link(temporary.c_str(), path.c_str()) == 0 ? 0 : errno;
        ::unlink(temporary.c_str());
        if (linked == EEXIST) return fail(ErrorCategory::permanent, "exists", path.string() + " is there already");
        if (linked != 0) return errno_error(fmt::format("create {}", path.string()), linked);
    } else if (::rename(temporary.c_str(), path.c_str()) != 0) {
        return give_up("rename");
    }
    if (!synced) return {};
    Fd directory(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory) ::fsync(directory.get());
    return {};
}

}  // namespace

Result<void> write_file_atomically(const fs::path& path, std::string_view content, mode_t mode) {
    return write_whole(path, content, mode, true, Place::any);
}

Result<void> write_new_file(const fs::path& path, std::string_view content, mode_t mode) {
    return write_whole(path, content, mode, true, Place::free);
}

Result<void> replace_file(const fs::path& path, std::string_view content, mode_t mode) {
    return write_whole(path, content, mode, false, Place::any);
}

Result<void> make_directory(const fs::path& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
        return errno_error(fmt::format("create directory {}", path.string()), errno);
    Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return errno_error(fmt::format("open directory {}", path.string()), errno);
    if (::fchmod(fd.get(), mode) != 0) return errno_error(fmt::format("set mode of {}", path.string()), errno);
    return {};
}

Result<SocketPath> short_socket_path(const fs::path& path) {
    if (path.native().size() < sizeof(sockaddr_un::sun_path)) return SocketPath{path.native(), {}};
    Fd directory(::open(path.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return errno_error(fmt::format("open {}", path.parent_path().string()), errno);
    auto text = fmt::format("/proc/self/fd/{}/{}", directory.get(), path.filename().string());
    if (text.size() >= sizeof(sockaddr_un::sun_path))
        return fail(ErrorCategory::permanent, "io",
                    fmt::format("socket name {} is too long", path.filename().string()));
    return SocketPath{std::move(text), std::move(directory)};
}

}  // namespace codegen::posix
