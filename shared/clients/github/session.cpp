#include "shared/clients/github/session.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdlib>

#include "shared/clients/github/places.hpp"
#include "shared/metrics/metrics.hpp"

namespace codegen::clients::github {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::minutes kTokenReserve{5};  // a token with less left is replaced
constexpr std::size_t kCacheBytes = 8u << 20;
constexpr std::size_t kKeptTokens = 512;
constexpr int kMaxPages = 1000;
constexpr int kMaxRedirects = 3;
constexpr std::string_view kApiVersion = "2022-11-28";

std::optional<std::string> process_environment(std::string_view name) {
    const char* value = std::getenv(std::string(name).c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
}

std::unexpected<Error> misconfigured(std::string message) {
    return fail(ErrorCategory::fatal, "configuration", std::move(message));
}

void describe_figures() {
    metrics::describe("codegen_github_requests_total", "Requests to GitHub by operation and status (0: no answer).");
    metrics::describe("codegen_github_request_seconds", "How long GitHub took to answer.");
    metrics::describe("codegen_github_budget_left", "Requests of our budget that are left in GitHub's current hour.");
    metrics::describe("codegen_github_rate_limited_total",
                      "Requests refused for their rate, by our budget or by GitHub.");
}

bool is_redirect(unsigned status) { return status == 301 || status == 302 || status == 307 || status == 308; }

}  // namespace

bool is_unsure(const Error& error) { return error.category == ErrorCategory::transient; }

std::string TokenScope::key() const {
    std::string key = repository;
    for (const auto& [name, access] : permissions) key += fmt::format(" {}={}", name, access);
    return key;
}

Result<std::shared_ptr<Session>> Session::make(asio::any_io_executor executor, GitHubOptions options) {
    if (options.organization.empty())
        return misconfigured("GITHUB_ORG is not set: expected the organisation that the GitHub App is installed in");
    if (!is_account_name(options.organization))
        return misconfigured(
            fmt::format("GITHUB_ORG is \"{}\": expected the name of an organisation, e.g. acme", options.organization));
    if (options.app_id.empty())
        return misconfigured("GITHUB_APP_ID is not set: expected the App's id, a number, or its client id");
    if (options.private_key.empty())
        return misconfigured(
            "GITHUB_APP_PRIVATE_KEY is not set: expected the App's private key, or its file in "
            "GITHUB_APP_PRIVATE_KEY_FILE");
    auto key = AppKey::from_pem(options.private_key, "GITHUB_APP_PRIVATE_KEY");
    if (!key) return std::unexpected(key.error());
    options.private_key.clear();
    auto api = http::parse_url(options.api_url);
    if (!api || api->scheme == http::Url::Scheme::unix_socket)
        return misconfigured(
            fmt::format("GITHUB_API_URL: {}", api ? "a unix socket cannot be used" : api.error().message));
    if (!options.environment) options.environment = process_environment;
    auto proxy = http::proxy_for(*api, options.environment);
    if (!proxy) return std::unexpected(proxy.error());
    describe_figures();
    return std::make_shared<Session>(std::move(executor), std::move(options), std::move(*api), std::move(*key),
                                     std::move(*proxy));
}

Session::Session(asio::any_io_executor executor, GitHubOptions options, http::Url api, AppKey key,
                 std::optional<http::Proxy> proxy)
    : executor_(std::move(executor)),
      options_(std::move(options)),
      api_(std::move(api)),
      web_(web_url(api_)),
      key_(std::move(key)),
      client_(executor_, api_, {.proxy = std::move(proxy)}),
      budget_(options_.hourly_budget),
      app_budget_(options_.hourly_budget),
      cache_(kCacheBytes) {}

Result<std::string> Session::repository_path(std::string_view name) const {
    if (!is_repository_name(name))
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("\"{}\" is not the name of a repository, expected [A-Za-z0-9._-]{{1,100}}", name));
    return fmt::format("/repos/{}/{}", options_.organization, name);
}

// One request and its figures.
Task<Result<http::Response>> Session::exchange(Call call, std::string bearer) {
    auto& budget = call.as_app ? app_budget_ : budget_;
    if (auto taken = budget.take(options_.now()); !taken) {
        metrics::count("codegen_github_rate_limited_total", {{"by", "budget"}});
        co_return std::unexpected(std::move(taken.error()));
    }
    // One that is cancelled is learned of, too: its place would stay taken until the hour is over.
    struct UnderWay {
        ~UnderWay() {
            if (budget) budget->learn(nullptr, {});
        }
        RateBudget* budget;
    } under_way{&budget};
    http::Request request;
    request.method = call.method;
    request.target = call.target;
    request.headers.set("Accept", "application/vnd.github+json");
    request.headers.set("X-GitHub-Api-Version", std::string(kApiVersion));
    request.headers.set("User-Agent", "codegen-orchestrator/" CODEGEN_VERSION);
    request.headers.set("Authorization", "Bearer " + std::move(bearer));
    if (!call.body.empty()) request.headers.set("Content-Type", "application/json");
    request.body = call.body;
    const bool cached = call.method == "GET" && !call.as_app && !call.keep_redirect;
    if (cached)
        if (const auto* known = cache_.find(call.target)) request.headers.set("If-None-Match", known->etag);

    const auto began = steady_clock::now();
    auto response = co_await client_.send(std::move(request), options_.timeout);
    metrics::observe("codegen_github_request_seconds", {{"operation", call.operation}}, steady_clock::now() - began);
    metrics::count("codegen_github_requests_total",
                   {{"operation", call.operation}, {"status", std::to_string(response ? response->status : 0)}});
    const auto now = options_.now();
    under_way.budget = nullptr;
    auto refused = budget.learn(response ? &*response : nullptr, now);
    if (const auto left = budget_.left(now)) metrics::set("codegen_github_budget_left", {}, static_cast<double>(*left));
    if (refused) {
        metrics::count("codegen_github_rate_limited_total", {{"by", "github"}});
        co_return std::unexpected(std::move(*refused));
    }
    if (!response) {
        auto error = std::move(response.error());
        if (error.category == ErrorCategory::transient && error.code == "connection") error.code = "unavailable";
        co_return std::unexpected(std::move(error));
    }
    if (cached && response->status == 304) {
        if (const auto* known = cache_.find(call.target)) co_return known->response;
        co_return fail(ErrorCategory::transient, "unavailable", "304, but the answer it confirms is gone");
    }
    if (cached) cache_.keep(call.target, *response);
    co_return response;
}

// Follows redirects within the API: repositories move.
Task<Result<http::Response>> Session::attempt(Call call, std::string bearer) {
    Call current = call;
    for (int redirects = 0;; ++redirects) {
        auto response = co_await exchange(current, bearer);
        if (!response || !is_redirect(response->status) || call.keep_redirect) co_return response;
        const auto location = response->headers.get("Location");
        const bool same_method = response->status == 307 || response->status == 308 || call.method == "GET";
        const auto target = location ? target_within(*location, api_) : std::nullopt;
        if (!target || !same_method || redirects == kMaxRedirects)
            co_return fail(ErrorCategory::permanent, "protocol",
                           fmt::format("{} leads to where we do not follow", response->status));
        current.target = *target;
    }
}

Task<Result<http::Response>> Session::call(Call call) {
    const auto self = shared_from_this();  // this coroutine may outlive the client
    const auto what = "GitHub: " + call.operation;
    for (bool fresh = false;; fresh = true) {
        std::string bearer;
        if (call.as_app) {
            bearer = app_token(key_, options_.app_id, options_.now());
        } else {
            auto token = co_await self->token({});
            if (!token) co_return std::unexpected(in_context(std::move(token.error()), what));
            bearer = std::move(token->token);
        }
        auto response = co_await attempt(call, bearer);
        if (!response) co_return std::unexpected(in_context(std::move(response.error()), what));
        // It expired earlier than was said, or was revoked.
        if (response->status == 401 && !call.as_app && !fresh) {
            forget_token(bearer);
            continue;
        }
        const bool good = (response->status >= 200 && response->status < 300) ||
                          (call.keep_redirect && is_redirect(response->status));
        if (!good) co_return std::unexpected(in_context(error_of(*response), what));
        co_return response;
    }
}

Task<Result<std::vector<boost::json::value>>> Session::pages(Call call, std::string member) {
    const auto self = shared_from_this();
    const auto what = "GitHub: " + call.operation;
    std::vector<boost::json::value> out;
    for (int page = 0; page < kMaxPages; ++page) {
        auto response = co_await self->call(call);
        if (!response) co_return std::unexpected(std::move(response.error()));
        auto value = json::parse_any(response->body);
        if (!value) co_return std::unexpected(in_context(invalid(value.error()), what));
        auto* items = &*value;
        if (!member.empty()) {
            auto* object = items->if_object();
            items = object ? object->if_contains(member) : nullptr;
        }
        if (!items || !items->is_array())
            co_return fail(ErrorCategory::permanent, "protocol", what + ": the answer is not a list");
        for (auto& item : items->get_array()) out.push_back(std::move(item));
        auto next = next_page(response->headers, api_);
        if (!next) co_return std::unexpected(in_context(std::move(next.error()), what));
        if (!*next) co_return out;
        call.target = std::move(**next);
    }
    co_return fail(ErrorCategory::permanent, "protocol", fmt::format("{}: more than {} pages", what, kMaxPages));
}

Task<Result<InstallationToken>> Session::token(TokenScope scope) {
    const auto key = scope.key();
    if (const auto known = tokens_.find(key); known != tokens_.end()) {
        if (known->second.expires_at - options_.now() > kTokenReserve) co_return known->second;
        tokens_.erase(known);
    }
    const auto self = shared_from_this();
    auto fetched = co_await fetching_.run(key, [self, scope] { return self->fetch_token(scope); });
    co_return fetched;
}

void Session::forget_token(std::string_view token) {
    std::erase_if(tokens_, [&](const auto& known) { return known.second.token == token; });
}

Task<Result<std::int64_t>> Session::installation() {
    if (installation_) co_return *installation_;
    Call find{.operation = "find installation", .target = fmt::format("/orgs/{}/installation", options_.organization)};
    find.as_app = true;
    auto found = co_await get<Installation>(std::move(find));
    if (!found && found.error().code == "not_found")
        co_return fail(ErrorCategory::fatal, "configuration",
                       fmt::format("GITHUB_ORG is \"{}\": the GitHub App {} is not installed there; install it in the "
                                   "organisation's settings",
                                   options_.organization, options_.app_id));
    if (!found) co_return std::unexpected(std::move(found.error()));
    installation_ = found->id;
    co_return found->id;
}

Task<Result<InstallationToken>> Session::fetch_token(TokenScope scope) {
    boost::json::object body;
    if (!scope.repository.empty()) body["repositories"] = boost::json::array{boost::json::value(scope.repository)};
    if (!scope.permissions.empty()) {
        auto& permissions = body["permissions"].emplace_object();
        for (const auto& [name, access] : scope.permissions) permissions[name] = access;
    }
    for (bool again = false;; again = true) {
        const bool known = installation_.has_value();
        auto id = co_await installation();
        if (!id) co_return std::unexpected(std::move(id.error()));
        Call ask{.operation = "create installation token",
                 .method = "POST",
                 .target = fmt::format("/app/installations/{}/access_tokens", *id),
                 .body = body.empty() ? std::string() : boost::json::serialize(body)};
        ask.as_app = true;
        auto token = co_await get<InstallationToken>(std::move(ask));
        if (!token && token.error().code == "not_found" && known && !again) {
            installation_.reset();  // uninstalled and installed again
            continue;
        }
        if (!token) co_return std::unexpected(std::move(token.error()));
        const auto now = options_.now();
        std::erase_if(tokens_, [&](const auto& kept) { return kept.second.expires_at <= now; });
        if (tokens_.size() < kKeptTokens) tokens_[scope.key()] = *token;
        co_return token;
    }
}

}  // namespace codegen::clients::github
