#include "packages/worker-wrapper/unix_socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "shared/posix/file.hpp"

namespace codegen::wrapper {
namespace {

Result<sockaddr_un> address_of(const posix::SocketPath& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.path.size() >= sizeof address.sun_path)
        return fail(ErrorCategory::permanent, "io", "socket path " + path.path + " is too long");
    std::memcpy(address.sun_path, path.path.data(), path.path.size());
    return address;
}

posix::Fd stream_socket(int family) { return posix::Fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

}  // namespace

Result<posix::Fd> connect_unix(const std::filesystem::path& path) {
    auto name = posix::short_socket_path(path);
    if (!name) return std::unexpected(name.error());
    auto address = address_of(*name);
    if (!address) return std::unexpected(address.error());
    auto fd = stream_socket(AF_UNIX);
    if (!fd) return posix::errno_error("socket", errno);
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
        return posix::errno_error("connect " + path.string(), errno);
    return fd;
}

Result<posix::Fd> listen_unix(const std::filesystem::path& path, mode_t mode) {
    auto name = posix::short_socket_path(path);
    if (!name) return std::unexpected(name.error());
    auto address = address_of(*name);
    if (!address) return std::unexpected(address.error());
    ::unlink(name->path.c_str());
    auto fd = stream_socket(AF_UNIX);
    if (!fd) return posix::errno_error("socket", errno);
    const mode_t before = umask(static_cast<mode_t>(~mode & 0777));
    const int bound = bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
    const int error = errno;
    umask(before);
    if (bound != 0) return posix::errno_error("bind " + path.string(), error);
    if (listen(fd.get(), 16) != 0) return posix::errno_error("listen " + path.string(), errno);
    return fd;
}

Result<posix::Fd> listen_loopback(int port) {
    auto fd = stream_socket(AF_INET);
    if (!fd) return posix::errno_error("socket", errno);
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return posix::errno_error("bind 127.0.0.1:" + std::to_string(port), errno);
    if (listen(fd.get(), 64) != 0) return posix::errno_error("listen", errno);
    return fd;
}

}  // namespace codegen::wrapper
