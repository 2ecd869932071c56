#include "services/worker-manager/gateway/redis_proxy.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <set>

#include "services/worker-manager/gateway/acl.hpp"
#include "services/worker-manager/gateway/command_filter.hpp"
#include "services/worker-manager/gateway/upstream.hpp"
#include "shared/async/deadline.hpp"
#include "shared/async/scope.hpp"
#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

using Local = asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::size_t kChunk = 64u << 10;
constexpr std::size_t kMaxConnections = 64;  // a wrapper uses two or three
constexpr std::chrono::milliseconds kOpenTimeout{5000};

// One client with its upstream. Closing both ends every read and write on them.
struct Link {
    explicit Link(Local::socket client_socket) : client(std::move(client_socket)), upstream(client.get_executor()) {}
    void close() {
        error_code ignored;
        client.close(ignored);
        upstream.close();
    }
    Local::socket client;
    Upstream upstream;
};

Task<void> replies_to_client(std::shared_ptr<Link> link) {
    std::vector<char> buffer(kChunk);
    for (;;) {
        auto n = co_await link->upstream.read_some(asio::buffer(buffer));
        if (!n || *n == 0) break;
        auto [ec, written] =
            co_await asio::async_write(link->client, asio::buffer(buffer.data(), *n), async::use_tuple);
        if (ec) break;
    }
    link->close();
}

}  // namespace

struct RedisProxy::Impl {
    Impl(asio::any_io_executor ex, redis::Client& admin_client, redis::Address address, GatewayIdentity who)
        : executor(ex),
          admin(admin_client),
          upstream(std::move(address)),
          identity(std::move(who)),
          acceptor(ex),
          scope(ex) {}

    static Task<void> accept(std::shared_ptr<Impl> self) {
        while (self->acceptor.is_open()) {
            auto [ec, socket] = co_await self->acceptor.async_accept(async::use_tuple);
            if (ec == asio::error::operation_aborted || !self->acceptor.is_open()) co_return;
            if (ec) {
                log::warning("accept on redis.sock",
                             {{"worker_id", self->identity.worker_id}, {"error", ec.message()}});
                co_await async::sleep_for(std::chrono::milliseconds(100));
                continue;
            }
            if (self->links.size() >= kMaxConnections) continue;  // the socket closes
            auto link = std::make_shared<Link>(std::move(socket));
            self->links.insert(link);
            self->scope.spawn("redis proxy " + self->identity.worker_id, serve(self, link));
        }
    }

    void shut() {
        error_code ignored;
        acceptor.close(ignored);
        for (const auto& link : links) link->close();
        scope.cancel();
    }

    Task<Result<void>> open_upstream(std::shared_ptr<Link> link) {
        auto rules = acl_rules(identity, password, upstream.database);
        auto made = co_await admin.command(std::move(rules));
        if (!made) co_return std::unexpected(in_context(made.error(), "make the worker's Redis user"));
        auto opened = co_await link->upstream.open(upstream, acl_user(identity.worker_id), password);
        co_return opened;
    }

    static Task<void> serve(std::shared_ptr<Impl> self, std::shared_ptr<Link> link) {
        auto opened = co_await async::with_timeout(self->open_upstream(link), kOpenTimeout, "connect to Redis");
        if (opened) {
            self->scope.spawn("redis replies " + self->identity.worker_id, replies_to_client(link));
            co_await self->commands_to_redis(link);
        } else {
            // The wrapper reconnects with backoff; closing is all it needs to know.
            log::warning("worker's Redis connection failed",
                         {{"worker_id", self->identity.worker_id}, {"error", opened.error().message}});
            link->close();
        }
        self->links.erase(link);
    }

    Task<void> commands_to_redis(std::shared_ptr<Link> link) {
        CommandFilter filter;
        std::vector<char> buffer(kChunk);
        for (bool more = true; more;) {
            auto [ec, n] = co_await link->client.async_read_some(asio::buffer(buffer), async::use_tuple);
            if (ec) break;
            auto passed = filter.feed(std::string_view(buffer.data(), n));
            if (passed.refused > 0)
                log::info("refused Redis commands of a worker",
                          {{"worker_id", identity.worker_id}, {"count", std::to_string(passed.refused)}});
            more = !passed.ends;
            auto written = co_await link->upstream.write(std::move(passed.bytes));
            if (!written) co_return link->close();
        }
        // The replies that are under way still come; then Redis closes, and replies_to_client() with it.
        link->upstream.end_writing();
    }

    const asio::any_io_executor executor;
    redis::Client& admin;
    const redis::Address upstream;
    const GatewayIdentity identity;
    const std::string password = random_token();
    std::filesystem::path path;
    Local::acceptor acceptor;
    std::set<std::shared_ptr<Link>> links;
    async::Scope scope;
};

RedisProxy::RedisProxy(asio::any_io_executor executor, redis::Client& admin, redis::Address upstream,
                       GatewayIdentity identity)
    : impl_(std::make_shared<Impl>(std::move(executor), admin, std::move(upstream), std::move(identity))) {}

RedisProxy::~RedisProxy() { impl_->shut(); }

Result<void> RedisProxy::listen(const std::filesystem::path& path) {
    auto address = posix::short_socket_path(path);
    if (!address) return std::unexpected(address.error());
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return posix::errno_error("remove " + path.string(), errno);
    error_code ec;
    auto& acceptor = impl_->acceptor;
    acceptor.open(Local(), ec);
    if (!ec) acceptor.bind(Local::endpoint(address->path), ec);
    if (!ec && ::chmod(path.c_str(), 0600) != 0) ec.assign(errno, boost::system::system_category());
    if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
    if (ec) return fail(ErrorCategory::permanent, "io", "listen on " + path.string() + ": " + ec.message());
    impl_->path = path;
    impl_->scope.spawn("redis proxy listener", Impl::accept(impl_));
    return {};
}

Task<void> RedisProxy::close() {
    auto impl = impl_;
    impl->shut();
    co_await impl->scope.stop();
    impl->links.clear();
    if (!impl->path.empty()) ::unlink(impl->path.c_str());
}

}  // namespace codegen::worker_manager
