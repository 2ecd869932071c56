#include "packages/worker-wrapper/forwarder.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>

#include "packages/worker-wrapper/unix_socket.hpp"

namespace codegen::wrapper {

namespace {
constexpr std::size_t kBuffer = 65536;
constexpr std::size_t kConnections = 256 /* two descriptors each, the usual limit is 1024 */;
constexpr std::chrono::milliseconds kRetry{50};
}  // namespace

// Side 0 is the program, side 1 the gateway. `out[i]` waits to be written to side i; `ended[i]`: side i sent its end.
struct Forwarder::Connection {
    std::array<posix::Fd, 2> fd;
    std::array<std::string, 2> out;
    std::array<bool, 2> ended{};
    std::array<bool, 2> shut{};
    std::array<std::uint32_t, 2> wanted{};
    std::chrono::steady_clock::time_point give_up;
    Loop::TimerId retry = 0;
};

Forwarder::Forwarder(Loop& loop, std::filesystem::path socket, std::chrono::milliseconds patience)
    : loop_(loop), socket_(std::move(socket)), patience_(patience) {}

Forwarder::~Forwarder() {
    while (!connections_.empty()) close(*connections_.begin()->second);
    if (listener_) loop_.unwatch(listener_.get());
}

Result<int> Forwarder::listen(int port) {
    auto listener = listen_loopback(port);
    if (!listener) return std::unexpected(listener.error());
    listener_ = std::move(*listener);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
    return ntohs(address.sin_port);
}

void Forwarder::accept() {
    for (;;) {
        posix::Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd) return;
        if (connections_.size() >= kConnections) continue;
        auto owned = std::make_unique<Connection>();
        Connection& connection = *owned;
        connection.fd[0] = std::move(fd);
        connection.give_up = std::chrono::steady_clock::now() + patience_;
        connections_.emplace(&connection, std::move(owned));
        try_connect(connection);
    }
}

void Forwarder::try_connect(Connection& connection) {
    auto connected = connect_unix(socket_);
    if (!connected) {
        if (std::chrono::steady_clock::now() >= connection.give_up) return close(connection);
        connection.retry = loop_.after(kRetry, [this, &connection] {
            connection.retry = 0;
            try_connect(connection);
        });
        return;
    }
    connection.fd[1] = std::move(*connected);
    for (int side = 0; side < 2; ++side) {
        loop_.watch(connection.fd[static_cast<std::size_t>(side)].get(), 0,
                    [this, &connection, side](std::uint32_t events) {
                        if ((events & EPOLLERR) != 0) return close(connection);
                        pump(connection, side, (events & EPOLLHUP) != 0);
                    });
    }
    update(connection);
}

void Forwarder::pump(Connection& connection, int ready, bool hung_up) {
    const auto here = static_cast<std::size_t>(ready);
    const std::size_t there = 1 - here;
    auto write_out = [&](std::size_t side) {
        auto& out = connection.out[side];
        while (!out.empty()) {
            const auto count = ::send(connection.fd[side].get(), out.data(), out.size(), MSG_NOSIGNAL);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return errno == EAGAIN;
            out.erase(0, static_cast<std::size_t>(count));
        }
        return true;
    };
    if (hung_up && connection.ended[here]) {  // reported again and again, and nobody reads there any more
        loop_.unwatch(connection.fd[here].get());
        connection.out[here].clear();
        connection.shut[here] = true;
        return update(connection);
    }
    if (!write_out(here)) return close(connection);
    if (!connection.ended[here] && (hung_up || connection.out[there].size() < kBuffer)) {
        std::array<char, 16384> buffer;
        const auto count = ::recv(connection.fd[here].get(), buffer.data(), buffer.size(), 0);
        if (count > 0) {
            connection.out[there].append(buffer.data(), static_cast<std::size_t>(count));
        } else if (count == 0) {
            connection.ended[here] = true;
        } else if (errno != EAGAIN && errno != EINTR) {
            return close(connection);
        }
        if (!write_out(there)) return close(connection);
    }
    update(connection);
}

void Forwarder::update(Connection& connection) {
    for (std::size_t side = 0; side < 2; ++side) {
        const std::size_t other = 1 - side;
        if (connection.ended[other] && connection.out[side].empty() && !connection.shut[side]) {
            ::shutdown(connection.fd[side].get(), SHUT_WR);
            connection.shut[side] = true;
        }
    }
    if (connection.shut[0] && connection.shut[1]) return close(connection);
    for (std::size_t side = 0; side < 2; ++side) {
        std::uint32_t wanted = 0;
        if (!connection.ended[side] && connection.out[1 - side].size() < kBuffer) wanted |= EPOLLIN;
        if (!connection.out[side].empty()) wanted |= EPOLLOUT;
        if (wanted == connection.wanted[side]) continue;
        connection.wanted[side] = wanted;
        loop_.change(connection.fd[side].get(), wanted);
    }
}

void Forwarder::close(Connection& connection) {
    loop_.cancel(connection.retry);
    if (connection.fd[1])
        for (auto& fd : connection.fd) loop_.unwatch(fd.get());
    connections_.erase(&connection);
}

}  // namespace codegen::wrapper
