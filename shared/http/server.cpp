#include "shared/http/server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cstring>

#include "shared/async/scope.hpp"
#include "shared/http/connection.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::http {
namespace {
using boost::system::error_code;
using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;
using asio::ip::tcp;

bool is_loopback(const sockaddr* address) {
    if (address->sa_family == AF_INET) {
        const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    }
    if (address->sa_family == AF_INET6) {
        const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
    }
    return false;
}

std::unexpected<Error> listen_error(std::string_view where, const error_code& error) {
    return fail(ErrorCategory::permanent, "io", fmt::format("listen on {}: {}", where, error.message()));
}

Task<void> serve(std::shared_ptr<Connection> connection) { co_await connection->run(); }

Task<void> accept_loop(std::shared_ptr<ServerState> server, std::shared_ptr<Acceptor> acceptor, async::Scope* scope) {
    while (!server->stopping) {
        if (server->connections.size() >= server->options.max_connections) {
            co_await server->changed.async_wait(async::use_tuple);
            continue;
        }
        asio::generic::stream_protocol::endpoint from;
        auto [error, socket] = co_await acceptor->async_accept(from, async::use_tuple);
        if (server->stopping) co_return;  // the Server, and with it the scope, may be gone
        if (error == asio::error::connection_aborted) continue;
        if (error) {  // out of descriptors or memory: the queue waits
            log::warning("cannot accept a connection", {{"error", error.message()}});
            co_await async::sleep_for(std::chrono::milliseconds(100));
            continue;
        }
        Peer peer;
        peer.unix_socket = from.protocol().family() == AF_UNIX;
        if (!peer.unix_socket) {
            peer.loopback_tcp = is_loopback(from.data());
            error_code ignored;
            socket.set_option(tcp::no_delay(true), ignored);
            socket.set_option(asio::socket_base::keep_alive(true), ignored);
        }
        scope->spawn("http connection", serve(std::make_shared<Connection>(server, std::move(socket), peer)));
    }
}

// One timer for all connections: a timer of each would cost more than the request.
Task<void> close_overdue(std::shared_ptr<ServerState> server) {
    for (;;) {
        co_await async::sleep_for(std::chrono::milliseconds(250));
        if (server->cut) co_return;
        const auto now = std::chrono::steady_clock::now();
        for (auto* connection : server->connections) connection->close_if_overdue(now);
    }
}

// Removes our socket file, not one that somebody has put there since.
struct SocketFile {
    std::filesystem::path path;
    dev_t device = 0;
    ino_t inode = 0;
    void remove() const {
        struct stat st{};
        if (::lstat(path.c_str(), &st) == 0 && st.st_dev == device && st.st_ino == inode) ::unlink(path.c_str());
    }
};

bool somebody_listens(const std::string& short_path) {
    const posix::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, short_path.data(), short_path.size());
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
}

}  // namespace

struct Server::Impl {
    Impl(const asio::any_io_executor& executor, Handler handler, ServerOptions options)
        : state(std::make_shared<ServerState>(executor, std::move(handler), options)), scope(executor) {}

    void start(std::shared_ptr<Acceptor> acceptor) {
        if (acceptors.empty()) scope.spawn("http deadlines", close_overdue(state));
        acceptors.push_back(acceptor);
        scope.spawn("http accept", accept_loop(state, std::move(acceptor), &scope));
    }
    void stop_accepting() {
        state->stopping = true;
        for (const auto& acceptor : acceptors) {
            error_code ignored;
            acceptor->close(ignored);
        }
        for (const auto& file : std::exchange(files, {})) file.remove();
        state->changed.cancel();
    }
    void cut() {
        state->cut = true;
        for (auto* connection : state->connections) connection->cut();
        scope.cancel();
    }

    std::shared_ptr<ServerState> state;
    std::vector<std::shared_ptr<Acceptor>> acceptors;
    std::vector<SocketFile> files;
    async::Scope scope;
};

Server::Server(asio::any_io_executor executor, Handler handler, ServerOptions options)
    : impl_(std::make_shared<Impl>(executor, std::move(handler), options)) {}

Server::~Server() {
    impl_->stop_accepting();
    impl_->cut();
}

Result<std::uint16_t> Server::listen_tcp(const std::string& address, std::uint16_t port) {
    const auto where = fmt::format("{} port {}", address, port);
    error_code error;
    const auto ip = asio::ip::make_address(address, error);
    if (error)
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("listen on {}: not an IP address, expected for example 127.0.0.1 or ::", where));
    const asio::generic::stream_protocol::endpoint endpoint(tcp::endpoint(ip, port));
    auto acceptor = std::make_shared<Acceptor>(impl_->scope.executor());
    if (acceptor->open(endpoint.protocol(), error); error) return listen_error(where, error);
    if (acceptor->set_option(asio::socket_base::reuse_address(true), error); error) return listen_error(where, error);
    if (acceptor->bind(endpoint, error); error) return listen_error(where, error);
    if (acceptor->listen(asio::socket_base::max_listen_connections, error); error) return listen_error(where, error);
    const auto bound = acceptor->local_endpoint(error);
    if (error) return listen_error(where, error);
    const auto* any = bound.data();
    const auto taken = any->sa_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(any)->sin6_port
                                                  : reinterpret_cast<const sockaddr_in*>(any)->sin_port;
    impl_->start(std::move(acceptor));
    return ntohs(taken);
}

Result<void> Server::listen_unix(const std::filesystem::path& path, unsigned mode, int group) {
    auto address = posix::short_socket_path(path);
    if (!address) return std::unexpected(in_context(address.error(), fmt::format("listen on {}", path.string())));
    const auto& name = address->path;
    struct stat st{};
    if (::lstat(name.c_str(), &st) == 0) {
        if (!S_ISSOCK(st.st_mode))
            return fail(ErrorCategory::permanent, "io",
                        fmt::format("listen on {}: something that is no socket is there; remove it", path.string()));
        if (somebody_listens(name))
            return fail(ErrorCategory::permanent, "conflict",
                        fmt::format("listen on {}: another process listens there; stop it first", path.string()));
        ::unlink(name.c_str());
    }
    error_code error;
    auto acceptor = std::make_shared<Acceptor>(impl_->scope.executor());
    const asio::generic::stream_protocol::endpoint endpoint{asio::local::stream_protocol::endpoint(name)};
    if (acceptor->open(endpoint.protocol(), error); error) return listen_error(path.string(), error);
    if (acceptor->bind(endpoint, error); error) return listen_error(path.string(), error);
    // Nobody can connect before listen(): no moment with the wrong permissions.
    auto give_up = [&](const error_code& e) {
        ::unlink(name.c_str());
        return listen_error(path.string(), e);
    };
    if (group != -1 && ::chown(name.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0)
        return give_up(error_code(errno, boost::system::system_category()));
    if (::chmod(name.c_str(), mode) != 0 || ::lstat(name.c_str(), &st) != 0)
        return give_up(error_code(errno, boost::system::system_category()));
    if (acceptor->listen(asio::socket_base::max_listen_connections, error); error) return give_up(error);
    impl_->files.push_back({path, st.st_dev, st.st_ino});
    impl_->start(std::move(acceptor));
    return {};
}

Task<void> Server::stop(std::chrono::milliseconds grace) {
    return [](std::shared_ptr<Impl> impl, std::chrono::milliseconds limit) -> Task<void> {
        impl->stop_accepting();
        for (auto* connection : impl->state->connections) connection->close_if_idle();
        const auto deadline = std::chrono::steady_clock::now() + limit;
        auto& connections = impl->state->connections;
        while (!connections.empty() && std::chrono::steady_clock::now() < deadline) {
            impl->state->changed.expires_at(deadline);
            co_await impl->state->changed.async_wait(async::use_tuple);
        }
        impl->cut();
        co_await impl->scope.stop();
    }(impl_, grace);
}

}  // namespace codegen::http
