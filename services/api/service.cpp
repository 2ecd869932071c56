#include "services/api/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "services/api/bootstrap.hpp"
#include "services/api/cross_origin.hpp"
#include "services/api/idempotency.hpp"
#include "services/api/openapi.hpp"
#include "services/api/rate_limit.hpp"
#include "services/api/representation.hpp"
#include "services/api/resource.hpp"
#include "shared/async/log_context.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/trace.hpp"
#include "shared/logging/log.hpp"
#include "shared/metrics/metrics.hpp"

namespace codegen::api {
namespace {

// The route's handler tells the outer one who it was, for log and metrics. Removed before the answer leaves.
constexpr std::string_view kRouteHeader = "X-Internal-Route";
constexpr std::string_view kCallerHeader = "X-Internal-Caller";

// "/api/task_executions/x_y?z_z" -> "/api/task-executions/x_y?z_z"
void normalize_resource_name(std::string& target) {
    constexpr std::string_view kPrefix = "/api/";
    if (!target.starts_with(kPrefix)) return;
    for (auto i = kPrefix.size(); i < target.size() && target[i] != '/' && target[i] != '?'; ++i) {
        if (target[i] == '_') target[i] = '-';
    }
}

std::string take(http::Headers& headers, std::string_view name) {
    const auto value = headers.get(name);
    std::string text(value.value_or(""));
    headers.erase(name);
    return text;
}

// A method that strangers made up leaves nothing: its names are without bounds.
std::string known_method(const std::string& method) {
    constexpr std::array<std::string_view, 7> kKnown{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    return std::ranges::find(kKnown, method) == kKnown.end() ? "other" : method;
}

bool any_permitted(const std::vector<std::string>& patterns, std::string_view actions) {
    while (!actions.empty()) {
        const auto end = actions.find(',');
        if (permits(patterns, actions.substr(0, end))) return true;
        actions = end == std::string_view::npos ? std::string_view() : actions.substr(end + 1);
    }
    return false;
}

// A token that is not a worker's but has actions: a route that names commands needs one of them, one that names none is
// read; what only some may reach, and every other change, needs "*".
std::optional<http::Response> out_of_scope(const RouteSpec& spec, const Caller& caller) {
    if (caller.is_worker() || !caller.is_bound() || permits(caller.actions, "*")) return std::nullopt;
    if (spec.access == Access::everyone) {
        if (spec.actions.empty() || any_permitted(caller.actions, spec.actions)) return std::nullopt;
        return http::problem(403, fmt::format("this token allows none of {}", spec.actions));
    }
    if (spec.method == "GET" && (spec.access == Access::member || spec.access == Access::loopback)) return std::nullopt;
    return http::problem(403, "this token is bound to its actions, and none of them is this");
}

// Nothing: come in.
std::optional<http::Response> refusal(const RouteSpec& spec, const Caller& caller) {
    if (auto refused = out_of_scope(spec, caller)) return refused;
    switch (spec.access) {
        case Access::open:
        case Access::loopback:
        case Access::member:
            if (!caller.is_worker()) return std::nullopt;
            return http::problem(403, "the token of a worker does not reach this");
        case Access::everyone:
            if (!caller.is_worker() || spec.actions.empty() || any_permitted(caller.actions, spec.actions)) {
                return std::nullopt;
            }
            return http::problem(403, fmt::format("the token of this worker allows none of {}", spec.actions));
        case Access::service:
            if (caller.kind == contracts::TokenKind::service) return std::nullopt;
            [[fallthrough]];
        case Access::control:
            if (caller.sees_all()) return std::nullopt;
            return http::problem(403, "only an admin or a service may do this");
    }
    return http::problem(403, "refused");
}

}  // namespace

struct Service::Impl {
    Impl(storage::Database& database, Options options)
        : database_(database), options_(std::move(options)), rate_limit_(options_.rate_limit) {
        for (const auto* spec : all_routes()) {
            router_.add(spec->method, spec->pattern,
                        [this, spec](http::Request request, http::Match match, http::Peer peer) {
                            return serve(this, spec, std::move(request), std::move(match), peer);
                        });
        }
    }

    static Task<http::Reply> serve(Impl* self, const RouteSpec* spec, http::Request request, http::Match match,
                                   http::Peer peer) {
        std::string who = "nobody";
        auto response = co_await answer(self, spec, &request, &match, peer, &who);
        response.headers.set(kRouteHeader, match.route);
        response.headers.set(kCallerHeader, std::move(who));
        co_return http::Reply{.head = std::move(response), .body = {}, .upgrade = {}};
    }

    static Task<http::Response> answer(Impl* self, const RouteSpec* spec, const http::Request* request,
                                       const http::Match* match, http::Peer peer, std::string* who) {
        const auto now = self->options_.clock();
        Caller caller;
        const bool open = spec->access == Access::open || (spec->access == Access::loopback && peer.loopback_tcp);
        if (!open) {
            auto known = co_await authenticate(&self->database_, request, peer, self->options_.allow_header_auth, now);
            if (!known) co_return known.error();
            caller = std::move(*known);
            *who = caller.description();
            if (const auto wait =
                    self->rate_limit_.refuse(caller.token_id.empty() ? caller.description() : caller.token_id,
                                             std::chrono::steady_clock::now())) {
                auto later = http::problem(
                    429, fmt::format("more than {} requests a minute with this token", self->options_.rate_limit));
                later.headers.set("Retry-After", std::to_string(*wait));
                co_return later;
            }
            if (auto refused = refusal(*spec, caller)) co_return std::move(*refused);
        }
        for (const auto* texts : {&match->params, &match->query})
            for (const auto& [name, value] : *texts)
                if (value.contains('\0'))
                    co_return http::problem(400, "the address is not valid", {{name, "holds a NUL character"}});
        for (const auto& [name, value] : match->params)
            if (const auto* rule = path_rule(*spec, name))
                if (const auto breach = json::breach(*rule, value); !breach.empty())
                    co_return http::problem(422, "the path is not valid", {{name, breach}});
        const Context context{.database = self->database_,
                              .request = *request,
                              .match = *match,
                              .caller = caller,
                              .now = now,
                              .metrics = self->metrics_,
                              .route = *spec,
                              .secrets = self->secrets_.value()};
        const bool once = !open && Idempotency::wanted(*request);
        auto response = once ? co_await self->idempotency_.answer(&context) : co_await spec->handler(&context);
        if (self->options_.strict_contracts)
            if (const auto breach = breach_of(*spec, response); !breach.empty())
                co_return http::problem(500, fmt::format("{} {}: {}", spec->method, spec->pattern, breach));
        co_return response;
    }

    static Task<http::Reply> handle(Impl* self, http::Request request, http::Peer peer) {
        const auto begin = std::chrono::steady_clock::now();
        const auto given = request.headers.get("X-Correlation-ID");
        const std::string correlation_id = given && is_correlation_id(*given) ? std::string(*given) : new_uuid();
        auto context = log::make_context(request.headers.get("traceparent").value_or(""), correlation_id, true);
        const std::string method = request.method;
        normalize_resource_name(request.target);
        const std::string path = request.target.substr(0, std::min<std::size_t>(request.target.find('?'), 200));
        const Wanted wanted(request);
        const auto given_origin = request.headers.get("Origin");
        const auto origin = given_origin ? std::optional(std::string(*given_origin)) : std::nullopt;
        http::Reply reply;
        if (auto allowed = self->cross_origin_.preflight(request)) {
            reply.head = std::move(*allowed);
        } else if (request.body.size() > self->options_.body_limit) {
            reply.head = http::problem(413, fmt::format("the body has {} bytes, the limit is {}", request.body.size(),
                                                        self->options_.body_limit));
        } else {
            auto work = self->router_.dispatch(std::move(request), peer);
            reply = co_await async::within(context, std::move(work));
        }
        const auto route = take(reply.head.headers, kRouteHeader);
        const auto who = take(reply.head.headers, kCallerHeader);
        reply.head.headers.set("X-Correlation-ID", correlation_id);
        if (method != "OPTIONS") self->cross_origin_.admit(origin, reply.head);
        represent(wanted, reply.head);
        self->metrics_.count(known_method(method), route.empty() ? "none" : route, reply.head.status);
        const auto took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin);
        // Of routes that exist: what else is asked for is without bounds.
        if (!route.empty())
            codegen::metrics::observe(
                "codegen_http_request_seconds",
                {{"method", method}, {"route", route}, {"status", std::to_string(reply.head.status)}}, took);
        const bool routine = reply.head.status < 400 && (method == "GET" || method == "HEAD");
        const auto write = routine ? log::debug : log::info;  // every change and every refusal can be audited
        const log::Within within(std::move(context));         // correlation id and trace
        write("request", {{"method", method.substr(0, 20)},
                          {"path", path},
                          {"status", std::to_string(reply.head.status)},
                          {"caller", who.empty() ? "nobody" : who},
                          {"ms", fmt::format("{:.2f}", took.count())}});
        co_return reply;
    }

    storage::Database& database_;
    const Options options_;
    http::Router router_;
    Metrics metrics_;
    RateLimit rate_limit_;
    Idempotency idempotency_;
    CrossOrigin cross_origin_;                   // since bootstrap()
    std::optional<secrets::SecretBox> secrets_;  // since bootstrap()
};

Service::Service(storage::Database& database, Options options)
    : impl_(std::make_unique<Impl>(database, std::move(options))) {}
Service::~Service() = default;

Task<Result<void>> Service::bootstrap() {
    auto* self = impl_.get();
    auto origins = CrossOrigin::parse(self->options_.cors_origins);
    if (!origins) co_return std::unexpected(origins.error());
    self->cross_origin_ = std::move(*origins);
    const auto now = self->options_.clock();
    auto prepared = co_await prepare_store(&self->database_, self->options_.state_directory, now);
    if (!prepared) co_return prepared;
    auto box = co_await open_secrets(&self->database_, secret_key_source(), now);
    if (!box) co_return std::unexpected(box.error());
    self->secrets_ = std::move(*box);
    co_return Result<void>();
}

std::vector<storage::Migration> Service::migrations() { return api::migrations(); }

Task<Result<Rotation>> Service::rotate_secrets(std::filesystem::path new_key_file) {
    auto migrated = co_await impl_->database_.migrate("api", api::migrations());
    if (!migrated) co_return std::unexpected(migrated.error());
    auto rotated = co_await api::rotate_secrets(&impl_->database_, secret_key_source(), std::move(new_key_file),
                                                impl_->options_.clock());
    co_return rotated;
}

SecretKeySource Service::secret_key_source() const {
    const auto& options = impl_->options_;
    return {.key = options.secrets_key,
            .file = options.secrets_key_file,
            .own_file = options.state_directory / "secrets.key"};
}

http::Handler Service::handler() {
    return [impl = impl_.get()](http::Request request, http::Peer peer) {
        return Impl::handle(impl, std::move(request), peer);
    };
}

http::ServerOptions Service::server_options() const {
    http::ServerOptions options;
    options.body_limit = impl_->options_.body_limit;
    return options;
}

std::vector<http::Router::Route> Service::routes() const { return impl_->router_.routes(); }

}  // namespace codegen::api
