#include "apps/orchestratord/observe.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apps/orchestratord/consumers.hpp"
#include "shared/async/deadline.hpp"
#include "shared/contracts/streams.hpp"
#include "shared/json/json.hpp"
#include "shared/logging/log.hpp"
#include "shared/metrics/metrics.hpp"

namespace codegen::orchestratord {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kCheckLimit{3};
constexpr std::chrono::milliseconds kStopGrace{500};

// Whether a token is right must not be told by how long the comparison takes.
bool same_secret(std::string_view a, std::string_view b) {
    unsigned different = a.size() == b.size() ? 0 : 1;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        different |= static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]));
    return different == 0;
}

std::string path_of(const http::Request& request) { return request.target.substr(0, request.target.find('?')); }

http::Response text_response(std::string text) {
    http::Response response;
    response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    response.body = std::move(text);
    return response;
}

using Figures = std::vector<std::pair<metrics::Labels, double>>;

// What Redis knows of the queues of some roles.
struct Queues {
    Figures depth, lag, pending, consumers, dead_letters;

    std::string text() const {
        using metrics::family;
        return family("codegen_queue_depth", "gauge", "Entries in the stream, handled ones included until trimmed.",
                      depth) +
               family("codegen_queue_lag", "gauge", "Entries that no consumer of the group has been given yet.", lag) +
               family("codegen_queue_pending", "gauge", "Entries that a consumer has and has not acknowledged.",
                      pending) +
               family("codegen_queue_consumers", "gauge", "Consumers that the group knows.", consumers) +
               family("codegen_dead_letters", "gauge", "Messages that could not be handled and wait for a person.",
                      dead_letters);
    }
};

Task<void> count_queue(redis::Client* client, redis::ConsumedStream queue, Queues* out) {
    const metrics::Labels stream{{"stream", queue.stream}};
    const metrics::Labels both{{"stream", queue.stream}, {"group", queue.group}};
    auto length = co_await client->command({"XLEN", queue.stream}, kCheckLimit);
    if (length) out->depth.emplace_back(stream, static_cast<double>(length->integer));
    auto letters = co_await client->command({"XLEN", contracts::streams::dead_letters(queue.stream)}, kCheckLimit);
    if (letters) out->dead_letters.emplace_back(stream, static_cast<double>(letters->integer));
    auto groups = co_await client->command({"XINFO", "GROUPS", queue.stream}, kCheckLimit);
    if (!groups) co_return;  // no such stream yet
    for (const auto& group : groups->elements) {
        const auto field = [&](std::string_view name) -> const redis::Reply* {
            for (std::size_t i = 0; i + 1 < group.elements.size(); i += 2)
                if (group.elements[i].text == name) return &group.elements[i + 1];
            return nullptr;
        };
        const auto* name = field("name");
        if (!name || name->text != queue.group) continue;
        const auto add = [&](std::string_view what, Figures& figures) {
            const auto* value = field(what);  // `lag` is nil when Redis cannot tell
            if (value && value->type == redis::Reply::Type::integer)
                figures.emplace_back(both, static_cast<double>(value->integer));
        };
        add("lag", out->lag);
        add("pending", out->pending);
        add("consumers", out->consumers);
    }
}

}  // namespace

struct Observer::Impl {
    Impl(asio::any_io_executor executor, ObserveOptions o)
        : options(std::move(o)), redis(executor, options.redis, {.command_timeout = kCheckLimit, .name = "observer"}) {}

    const ObserveOptions options;
    redis::Client redis;
    std::unique_ptr<http::Server> server;
    bool ready = false;
    const steady_clock::time_point started = steady_clock::now();

    double uptime() const { return std::chrono::duration<double>(steady_clock::now() - started).count(); }

    bool has_token(const http::Request& request) const {
        const auto given = request.headers.get("Authorization").value_or("");
        constexpr std::string_view kBearer = "Bearer ";
        if (!given.starts_with(kBearer)) return false;
        return std::ranges::any_of(options.tokens(), [&](const std::string& token) {
            return !token.empty() && same_secret(token, given.substr(kBearer.size()));
        });
    }

    http::Response health() const {
        return http::json_response(200, boost::json::object{{"status", "ok"},
                                                            {"version", CODEGEN_VERSION},
                                                            {"uptime_seconds", uptime()},
                                                            {"roles", boost::json::value_from(options.roles)}});
    }

    // What went wrong names places and users: it is for those who may know.
    static Task<http::Response> readiness(std::shared_ptr<Impl> self, bool trusted) {
        const auto shown = [trusted](const Error& error) {
            return boost::json::string(trusted ? error.message : "does not answer");
        };
        boost::json::object checks;
        bool good = self->ready;
        checks["roles"] = self->ready ? "ok" : "starting or stopping";
        auto pong = co_await self->redis.command({"PING"}, kCheckLimit);
        checks["redis"] = pong ? boost::json::string("ok") : shown(pong.error());
        good = good && pong;
        for (const auto& [name, check] : self->options.checks) {
            auto work = check();
            auto result = co_await async::with_timeout(std::move(work), kCheckLimit, name);
            checks[name] = result ? boost::json::string("ok") : shown(result.error());
            good = good && result;
        }
        co_return http::json_response(good ? 200 : 503,
                                      boost::json::object{{"ready", good}, {"checks", std::move(checks)}});
    }

    static Task<http::Response> figures(std::shared_ptr<Impl> self) {
        using metrics::family;
        Figures roles;
        for (const auto& role : self->options.roles) roles.emplace_back(metrics::Labels{{"role", role}}, 1);
        auto text =
            family("codegen_build_info", "gauge", "The version that runs.", {{{{"version", CODEGEN_VERSION}}, 1}}) +
            family("codegen_role_info", "gauge", "The roles of this process.", roles) +
            family("codegen_ready", "gauge", "1: its roles are started.", {{{}, self->ready ? 1.0 : 0.0}}) +
            family("codegen_process_uptime_seconds", "gauge", "Since the process started.", {{{}, self->uptime()}});
        // Without Redis the rest is told at once.
        Queues queues;
        auto pong = co_await self->redis.command({"PING"}, kCheckLimit);
        if (!pong) co_return text_response(text + metrics::text());
        for (const auto& queue : consumed_streams()) {
            const bool ours = std::ranges::find(self->options.roles, queue.role) != self->options.roles.end();
            if (ours && queue.stream.find('{') == std::string::npos) co_await count_queue(&self->redis, queue, &queues);
        }
        co_return text_response(text + queues.text() + metrics::text());
    }

    static http::Response log_level(const http::Request& request) {
        if (request.method == "PUT") {
            const auto body = json::parse_any(request.body);
            const auto* wanted = body && body->is_object() ? body->get_object().if_contains("level") : nullptr;
            if (!wanted || !wanted->is_string())
                return http::problem(422, "expected {\"level\": \"debug\"}, or info, warning, error");
            const auto level = log::parse_level(std::string_view(wanted->get_string()));
            if (!level) return http::problem(422, level.error().message);
            log::set_level(*level);
            log::warning("log level changed", {{"level", std::string(log::name_of(*level))}});
        }
        return http::json_response(200, boost::json::object{{"level", log::name_of(log::level())}});
    }

    static Task<http::Reply> handle(std::shared_ptr<Impl> self, http::Request request, http::Peer peer) {
        http::Reply reply;
        const auto path = path_of(request);
        const bool read = request.method == "GET" || request.method == "HEAD";
        const bool known = path == "/health" || path == "/ready" || path == "/metrics" || path == "/log-level";
        const bool open = path == "/health" || path == "/ready";
        const bool change = path == "/log-level" && request.method == "PUT";
        if (!known) {
            reply.head = http::problem(404, "there are /health, /ready, /metrics and /log-level");
        } else if (!read && !change) {
            reply.head = http::problem(405, fmt::format("{} {} is not possible", request.method, path));
        } else if (!open && !peer.unix_socket && !(read && peer.loopback_tcp) && !self->has_token(request)) {
            reply.head =
                http::problem(401, "a token of an admin or of a service is needed here: Authorization: Bearer ...");
        } else if (path == "/health") {
            reply.head = self->health();
        } else if (path == "/ready") {
            const bool trusted = peer.unix_socket || peer.loopback_tcp || self->has_token(request);
            reply.head = co_await readiness(self, trusted);
        } else if (path == "/metrics") {
            reply.head = co_await figures(self);
        } else {
            reply.head = log_level(request);
        }
        co_return reply;
    }
};

Observer::Observer(asio::any_io_executor executor, ObserveOptions options)
    : impl_(std::make_shared<Impl>(executor, std::move(options))) {
    metrics::describe("codegen_messages_total", "Messages by how their handling ended: done, retried, dead_letter.");
    metrics::describe("codegen_message_seconds", "How long handlers of messages took.");
    metrics::describe("codegen_http_request_seconds", "How long answers of the API took.");
    metrics::describe("codegen_workers", "Workers of this host by state.");
    impl_->server = std::make_unique<http::Server>(std::move(executor), handler());
}
Observer::~Observer() = default;

http::Handler Observer::handler() {
    return [weak = std::weak_ptr(impl_)](http::Request request, http::Peer peer) -> Task<http::Reply> {
        // Not a coroutine itself: the frame below owns what it needs.
        if (const auto self = weak.lock()) return Impl::handle(self, std::move(request), peer);
        return []() -> Task<http::Reply> {
            co_return http::Reply{.head = http::problem(503, "stopping"), .body = {}, .upgrade = {}};
        }();
    };
}

Result<void> Observer::listen(const std::filesystem::path& socket) { return impl_->server->listen_unix(socket, 0600); }

Result<std::uint16_t> Observer::listen_tcp(const std::string& host, std::uint16_t port) {
    return impl_->server->listen_tcp(host, port);
}

void Observer::set_ready(bool ready) { impl_->ready = ready; }

Task<void> Observer::stop() {
    const auto impl = impl_;
    impl->ready = false;
    co_await impl->server->stop(kStopGrace);
    impl->redis.close();
}

}  // namespace codegen::orchestratord
