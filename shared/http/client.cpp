#include "shared/http/client.hpp"

#include <fmt/format.h>

#include "shared/async/deadline.hpp"
#include "shared/http/transport.hpp"
#include "shared/http/wire.hpp"

namespace codegen::http {
namespace {

constexpr std::size_t kKeptConnections = 32;
constexpr std::size_t kSmallBody = 64u << 10;
constexpr std::size_t kRelayBuffer = 32u << 10;
constexpr std::size_t kQuotedBody = 2000;  // bytes of a refusal that go into the error message

bool is_scheme_default(const Url& url) { return url.port == (url.scheme == Url::Scheme::https ? 443 : 80); }

std::string host_field(const Url& url) {
    if (url.scheme == Url::Scheme::unix_socket) return "localhost";
    const auto host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
    return is_scheme_default(url) ? host : fmt::format("{}:{}", host, url.port);
}

// For error messages: no target, some services have their token in it.
std::string place_of(const Url& url) {
    switch (url.scheme) {
        case Url::Scheme::http:
            return "http://" + host_field(url);
        case Url::Scheme::https:
            return "https://" + host_field(url);
        case Url::Scheme::unix_socket:
            return "http+unix://" + url.path;
    }
    std::unreachable();
}

// A response under way.
struct Exchange {
    std::unique_ptr<Transport> transport;
    ResponseParser parser;
    std::string body;  // decoded and not yet handed out
};

// What a Client and its requests under way share.
struct Pool {
    Pool(asio::any_io_executor e, Url b, ClientOptions o)
        : executor(std::move(e)), base(std::move(b)), options(std::move(o)) {}

    asio::any_io_executor executor;
    Url base;
    ClientOptions options;
    std::vector<std::unique_ptr<Transport>> kept;
    std::shared_ptr<asio::ssl::context> tls;  // made with the first https connection: loading costs milliseconds

    std::unique_ptr<Transport> take_kept() {
        while (!kept.empty()) {
            auto transport = std::move(kept.back());
            kept.pop_back();
            if (!transport->is_stale()) return transport;
        }
        return nullptr;
    }

    void give_back(Exchange& exchange) {
        if (exchange.parser.keep_alive() && exchange.transport->pending().empty() && kept.size() < kKeptConnections)
            kept.push_back(std::move(exchange.transport));
        exchange.transport.reset();
    }
};

Task<Result<std::unique_ptr<Transport>>> plain_tcp(asio::any_io_executor executor, std::string host,
                                                   std::uint16_t port) {
    auto socket = co_await dial_tcp(std::move(executor), std::move(host), port);
    if (!socket) co_return std::unexpected(std::move(socket.error()));
    co_return std::make_unique<SocketTransport>(std::move(*socket));
}

Task<Result<std::unique_ptr<Stream>>> as_stream(Task<Result<std::unique_ptr<Transport>>> task) {
    auto transport = co_await std::move(task);
    if (!transport) co_return std::unexpected(std::move(transport.error()));
    co_return std::unique_ptr<Stream>(std::move(*transport));
}

// Through the proxy's tunnel to the server, which is then spoken to in TLS.
Task<Result<std::unique_ptr<Transport>>> tunnelled_tls(std::shared_ptr<Pool> pool, Proxy proxy) {
    const auto& url = pool->base;
    auto socket = co_await dial_tcp(pool->executor, proxy.host, proxy.port);
    if (!socket) co_return std::unexpected(in_context(std::move(socket.error()), "proxy " + proxy.place()));
    Request request;
    request.method = "CONNECT";
    const auto target = fmt::format("{}:{}", url.host.contains(':') ? "[" + url.host + "]" : url.host, url.port);
    if (!proxy.authorization.empty()) request.headers.set("Proxy-Authorization", proxy.authorization);
    const auto head = request_head(request, target, target, false);
    if (!head) co_return std::unexpected(head.error());
    SocketTransport transport(std::move(*socket));
    auto written = co_await transport.write(*head);
    if (!written) co_return std::unexpected(in_context(std::move(written.error()), "proxy " + proxy.place()));
    ResponseParser parser(false);
    std::string body;
    while (!parser.head_done()) {
        auto n = co_await transport.fill();
        if (!n) co_return std::unexpected(in_context(std::move(n.error()), "proxy " + proxy.place()));
        if (*n == 0)
            co_return fail(ErrorCategory::transient, "connection",
                           fmt::format("proxy {}: closed the connection", proxy.place()));
        auto used = parser.feed(transport.pending(), body);
        if (!used) co_return std::unexpected(in_context(std::move(used.error()), "proxy " + proxy.place()));
        transport.consume(*used);
    }
    const auto status = parser.head().status;
    if (status < 200 || status > 299)
        co_return fail(status >= 500 ? ErrorCategory::transient : ErrorCategory::permanent, "proxy",
                       fmt::format("proxy {}: refuses a tunnel to {}: {} {}", proxy.place(), target, status,
                                   reason_phrase(status)));
    auto secured = co_await start_tls(std::move(transport.socket()), url.host, pool->tls);
    co_return secured;
}

Task<Result<std::unique_ptr<Transport>>> connect(std::shared_ptr<Pool> pool) {
    const auto& url = pool->base;
    const auto& proxy = pool->options.proxy;
    if (url.scheme == Url::Scheme::unix_socket)
        co_return co_await async::with_timeout(dial_unix(pool->executor, url.path), pool->options.connect_timeout,
                                               "connect to " + url.path);
    const auto what = fmt::format("connect to {} port {}", url.host, url.port);
    if (url.scheme == Url::Scheme::http) {
        auto dialled =
            proxy ? plain_tcp(pool->executor, proxy->host, proxy->port) : plain_tcp(pool->executor, url.host, url.port);
        co_return co_await async::with_timeout(std::move(dialled), pool->options.connect_timeout, what);
    }
    if (!pool->tls) {
        auto context = make_tls_context(pool->options.ca_file);
        if (!context) co_return std::unexpected(std::move(context.error()));
        pool->tls = std::move(*context);
    }
    if (proxy) co_return co_await async::with_timeout(tunnelled_tls(pool, *proxy), pool->options.connect_timeout, what);
    co_return co_await async::with_timeout(dial_tls(pool->executor, url.host, url.port, pool->tls),
                                           pool->options.connect_timeout, what);
}

Task<Result<void>> write_request(Transport* transport, const std::string* head, const std::string* body) {
    if (body->empty()) co_return co_await transport->write(*head);
    if (body->size() <= kSmallBody) {
        const auto whole = *head + *body;
        co_return co_await transport->write(whole);
    }
    auto written = co_await transport->write(*head);
    if (!written) co_return written;
    co_return co_await transport->write(*body);
}

// Reads until the response's head is there.
Task<Result<void>> read_head(Exchange* exchange) {
    while (!exchange->parser.head_done()) {
        auto n = co_await exchange->transport->fill();
        if (!n) co_return std::unexpected(std::move(n.error()));
        if (*n == 0) {
            auto ended = exchange->parser.end_of_stream();
            if (!ended) co_return ended;
        }
        auto used = exchange->parser.feed(exchange->transport->pending(), exchange->body);
        if (!used) co_return std::unexpected(std::move(used.error()));
        exchange->transport->consume(*used);
    }
    co_return Result<void>{};
}

// Reads the next piece of the body into exchange->body. False: it has ended.
Task<Result<bool>> read_piece(Exchange* exchange) {
    while (exchange->body.empty() && !exchange->parser.done()) {
        if (const auto pending = exchange->transport->pending(); !pending.empty()) {
            auto used = exchange->parser.feed(pending, exchange->body);
            if (!used) co_return std::unexpected(std::move(used.error()));
            exchange->transport->consume(*used);
            if (*used > 0) continue;
        }
        auto n = co_await exchange->transport->fill();
        if (!n) co_return std::unexpected(std::move(n.error()));
        if (*n > 0) continue;
        auto ended = exchange->parser.end_of_stream();
        if (!ended) co_return std::unexpected(std::move(ended.error()));
    }
    co_return !exchange->body.empty();
}

Task<Result<std::unique_ptr<Exchange>>> begin(std::shared_ptr<Pool> pool, Request request, bool upgrade) {
    const bool to_head = request.method == "HEAD";
    const bool own_target = request.method == "CONNECT" || pool->base.scheme == Url::Scheme::unix_socket;
    auto target = own_target ? request.target : pool->base.path + request.target;
    if (const auto& proxy = pool->options.proxy; proxy && pool->base.scheme == Url::Scheme::http && !upgrade) {
        target.insert(0, "http://" + host_field(pool->base));
        if (!proxy->authorization.empty()) request.headers.set("Proxy-Authorization", proxy->authorization);
    }
    const auto head = request_head(request, target, host_field(pool->base), upgrade && request.method != "CONNECT");
    if (!head) co_return std::unexpected(head.error());
    for (bool may_retry = true;; may_retry = false) {
        auto transport = may_retry && !upgrade ? pool->take_kept() : nullptr;
        const bool was_kept = transport != nullptr;
        if (!transport) {
            auto connected = co_await connect(pool);
            if (!connected) co_return std::unexpected(std::move(connected.error()));
            transport = std::move(*connected);
        }
        auto exchange = std::make_unique<Exchange>(std::move(transport), ResponseParser(to_head), std::string{});
        auto written = co_await write_request(exchange->transport.get(), &*head, &request.body);
        // Also after a failed write: a server that refuses a large body answers before it has read it all.
        auto read = co_await read_head(exchange.get());
        if (read) co_return std::move(exchange);
        const bool closed_at_once = read.error().code == "connection" && exchange->transport->pending().empty();
        if (was_kept && closed_at_once) continue;
        co_return std::unexpected(in_context(written ? read.error() : written.error(), place_of(pool->base)));
    }
}

Task<Result<Response>> exchange_whole(std::shared_ptr<Pool> pool, Request request) {
    auto begun = co_await begin(pool, std::move(request), false);
    if (!begun) co_return std::unexpected(std::move(begun.error()));
    auto& exchange = **begun;
    Response response = std::move(exchange.parser.head());
    for (;;) {
        auto more = co_await read_piece(&exchange);
        if (!more) co_return std::unexpected(in_context(more.error(), place_of(pool->base)));
        if (!*more) break;
        if (response.body.size() + exchange.body.size() > pool->options.body_limit)
            co_return fail(ErrorCategory::permanent, "too_large",
                           fmt::format("{}: the response is larger than {} bytes", place_of(pool->base),
                                       pool->options.body_limit));
        response.body += exchange.body;
        exchange.body.clear();
    }
    pool->give_back(exchange);
    co_return response;
}

class Streaming final : public ResponseStream {
  public:
    Streaming(std::shared_ptr<Pool> pool, std::unique_ptr<Exchange> exchange, std::chrono::milliseconds idle)
        : pool_(std::move(pool)),
          exchange_(std::move(exchange)),
          head_(std::move(exchange_->parser.head())),
          idle_(idle) {}

    const Response& head() const override { return head_; }

    Task<Result<std::string>> read_some() override {
        if (failed_) co_return std::unexpected(*failed_);
        if (!exchange_) co_return std::string{};
        auto more = idle_.count() == 0
                        ? co_await read_piece(exchange_.get())
                        : co_await async::with_timeout(read_piece(exchange_.get()), idle_,
                                                       "the next piece of " + place_of(pool_->base) + "'s response");
        if (!more) {
            exchange_.reset();
            failed_ = in_context(std::move(more.error()), place_of(pool_->base));
            co_return std::unexpected(*failed_);
        }
        if (*more) co_return std::exchange(exchange_->body, {});
        pool_->give_back(*exchange_);
        exchange_.reset();
        co_return std::string{};
    }

  private:
    std::shared_ptr<Pool> pool_;
    std::unique_ptr<Exchange> exchange_;  // null after the end
    Response head_;
    std::chrono::milliseconds idle_;
    std::optional<Error> failed_;
};

Task<Result<std::unique_ptr<Stream>>> take_over(std::shared_ptr<Pool> pool, Request request) {
    const auto what = fmt::format("{} {}", request.method, place_of(pool->base));
    auto begun = co_await begin(pool, std::move(request), true);
    if (!begun) co_return std::unexpected(std::move(begun.error()));
    auto& exchange = **begun;
    const auto status = exchange.parser.head().status;
    if (status == 101 || (status >= 200 && status < 300))
        co_return std::unique_ptr<Stream>(std::move(exchange.transport));
    std::string body;
    while (body.size() < kQuotedBody) {
        auto more = co_await read_piece(&exchange);
        if (!more || !*more) break;
        body += std::exchange(exchange.body, {});
    }
    body.resize(std::min(body.size(), kQuotedBody));
    co_return fail(status >= 500 ? ErrorCategory::transient : ErrorCategory::permanent,
                   status == 404   ? "not_found"
                   : status == 409 ? "conflict"
                                   : "refused",
                   fmt::format("{}: {} {}: {}", what, status, reason_phrase(status), body));
}

}  // namespace

struct Client::Impl : Pool {
    using Pool::Pool;
};

Client::Client(asio::any_io_executor executor, Url base, ClientOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(base), std::move(options))) {}
Client::~Client() = default;

Task<Result<Response>> Client::send(Request request, std::chrono::milliseconds timeout) {
    auto what = fmt::format("{} {}", request.method, place_of(impl_->base));
    return async::with_timeout(exchange_whole(impl_, std::move(request)), timeout, std::move(what));
}

Task<Result<std::unique_ptr<ResponseStream>>> Client::open(Request request, std::chrono::milliseconds timeout,
                                                           std::chrono::milliseconds idle) {
    return [](std::shared_ptr<Pool> pool, Request r, std::chrono::milliseconds limit,
              std::chrono::milliseconds idle_limit) -> Task<Result<std::unique_ptr<ResponseStream>>> {
        auto what = fmt::format("{} {}", r.method, place_of(pool->base));
        auto begun = co_await async::with_timeout(begin(pool, std::move(r), false), limit, std::move(what));
        if (!begun) co_return std::unexpected(std::move(begun.error()));
        co_return std::make_unique<Streaming>(pool, std::move(*begun), idle_limit);
    }(impl_, std::move(request), timeout, idle);
}

Task<Result<std::unique_ptr<Stream>>> Client::upgrade(Request request, std::chrono::milliseconds timeout) {
    auto what = fmt::format("{} {}", request.method, place_of(impl_->base));
    return async::with_timeout(take_over(impl_, std::move(request)), timeout, std::move(what));
}

Task<Result<std::unique_ptr<Stream>>> connect_tcp(std::string address, std::uint16_t port,
                                                  std::chrono::milliseconds timeout) {
    auto executor = co_await asio::this_coro::executor;
    auto what = fmt::format("connect to {} port {}", address, port);
    co_return co_await async::with_timeout(as_stream(plain_tcp(executor, std::move(address), port)), timeout,
                                           std::move(what));
}

Task<Result<std::unique_ptr<Stream>>> connect_unix(std::filesystem::path path, std::chrono::milliseconds timeout) {
    auto executor = co_await asio::this_coro::executor;
    auto what = fmt::format("connect to {}", path.string());
    co_return co_await async::with_timeout(as_stream(dial_unix(executor, std::move(path))), timeout, std::move(what));
}

namespace {

Task<void> copy(Stream* from, Stream* to, std::uint64_t* copied) {
    std::vector<char> buffer(kRelayBuffer);
    for (;;) {
        auto n = co_await from->read_some(buffer);
        if (n && *n == 0) {
            to->shutdown_write();
            co_return;
        }
        Result<void> written;
        if (n) written = co_await to->write({buffer.data(), *n});
        if (!n || !written) {  // broken on one side: of no use to the other
            from->close();
            to->close();
            co_return;
        }
        *copied += *n;
    }
}

}  // namespace

Task<std::pair<std::uint64_t, std::uint64_t>> relay(Stream& a, Stream& b) {
    return [](Stream* left, Stream* right) -> Task<std::pair<std::uint64_t, std::uint64_t>> {
        std::pair<std::uint64_t, std::uint64_t> copied{0, 0};
        co_await async::both(copy(left, right, &copied.first), copy(right, left, &copied.second));
        co_return copied;
    }(&a, &b);
}

}  // namespace codegen::http
