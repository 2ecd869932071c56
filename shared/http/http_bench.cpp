// GET of a small JSON over kept connections: our server, and as the floor a loop that answers fixed bytes to any read.
// Client: raw sockets on a thread of its own, so that both are measured alike.
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <thread>

#include "shared/base/ids.hpp"
#include "shared/http/router.hpp"
#include "shared/http/server.hpp"
#include "shared/posix/fd.hpp"

namespace codegen::http {
namespace {

constexpr std::string_view kRequest =
    "GET /api/tasks/7 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 0123456789abcdef\r\nAccept: */*\r\n\r\n";
constexpr std::string_view kBody = R"({"id":"7","status":"queued","type":"engineering"})";

Task<Reply> answer(Request, Match, Peer) {
    Reply reply;
    reply.head.headers.add("Content-Type", "application/json");
    reply.head.body = kBody;
    co_return reply;
}

template <class Socket>
Task<void> floor_session(Socket socket) {
    static const std::string bytes =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(kBody.size()) +
        "\r\n\r\n" + std::string(kBody);
    char buffer[4096];
    for (;;) {
        auto [error, n] = co_await socket.async_read_some(asio::buffer(buffer), async::use_tuple);
        if (error) co_return;
        auto [failed, m] = co_await asio::async_write(socket, asio::buffer(bytes), async::use_tuple);
        if (failed) co_return;
    }
}

template <class Acceptor>
Task<void> floor_accept(Acceptor* acceptor) {
    for (;;) {
        auto [error, socket] = co_await acceptor->async_accept(async::use_tuple);
        if (error) co_return;
        asio::co_spawn(acceptor->get_executor(), floor_session(std::move(socket)), asio::detached);
    }
}

posix::Fd dial(std::uint16_t port, const std::string& path) {
    if (port != 0) {
        posix::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int on = 1;
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
        return fd;
    }
    posix::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
    return fd;
}

bool ends_with_body(std::string_view text) { return text.ends_with(kBody); }

// `range(0)` connections, each with one request under way.
void drive(benchmark::State& state, std::uint16_t port, const std::string& path) {
    std::vector<posix::Fd> sockets;
    for (std::int64_t i = 0; i < state.range(0); ++i) sockets.push_back(dial(port, path));
    for (const auto& fd : sockets)
        if (!fd) return state.SkipWithError("cannot connect");
    char buffer[4096];
    for (auto _ : state) {
        for (const auto& fd : sockets)
            if (::send(fd.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0)
                return state.SkipWithError("send");
        for (const auto& fd : sockets) {
            std::size_t have = 0;
            do {
                const auto n = ::recv(fd.get(), buffer + have, sizeof buffer - have, 0);
                if (n <= 0) return state.SkipWithError("recv");
                have += static_cast<std::size_t>(n);
            } while (!ends_with_body({buffer, have}));
        }
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

void bm_server(benchmark::State& state, bool tcp) {
    asio::io_context io(1);
    Router router;
    for (int i = 0; i < 60; ++i) router.add("GET", "/api/other" + std::to_string(i) + "/{id}", answer);
    router.add("GET", "/api/tasks/{id}", answer);
    const std::string path = "/tmp/http-bench-" + random_token(6);
    Server server(io.get_executor(), [&](Request r, Peer p) { return router.dispatch(std::move(r), p); });
    const auto port = tcp ? server.listen_tcp("127.0.0.1", 0).value() : std::uint16_t{0};
    if (!tcp && !server.listen_unix(path, 0600)) return state.SkipWithError("listen");
    std::thread thread([&] { io.run(); });
    drive(state, port, path);
    io.stop();
    thread.join();
}

void bm_floor(benchmark::State& state, bool tcp) {
    asio::io_context io(1);
    const std::string path = "/tmp/http-bench-" + random_token(6);
    asio::ip::tcp::acceptor tcp_acceptor(io, {asio::ip::address_v4::loopback(), 0});
    asio::local::stream_protocol::acceptor unix_acceptor(io, asio::local::stream_protocol::endpoint(path));
    asio::co_spawn(io, floor_accept(&tcp_acceptor), asio::detached);
    asio::co_spawn(io, floor_accept(&unix_acceptor), asio::detached);
    std::thread thread([&] { io.run(); });
    drive(state, tcp ? tcp_acceptor.local_endpoint().port() : std::uint16_t{0}, path);
    io.stop();
    thread.join();
    ::unlink(path.c_str());
}

BENCHMARK_CAPTURE(bm_server, tcp, true)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK_CAPTURE(bm_floor, tcp, true)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK_CAPTURE(bm_server, unix, false)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK_CAPTURE(bm_floor, unix, false)->Arg(1)->Arg(32)->UseRealTime();

}  // namespace
}  // namespace codegen::http
