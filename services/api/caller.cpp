#include "services/api/caller.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <boost/algorithm/string/predicate.hpp>
#include <charconv>

#include "services/api/rows.hpp"
#include "shared/json/enum.hpp"

namespace codegen::api {
namespace {

using contracts::TokenKind;
using Authenticated = std::expected<Caller, http::Response>;

std::unexpected<http::Response> unauthorized(std::string detail) {
    auto response = http::problem(401, std::move(detail));
    response.headers.set("WWW-Authenticate", "Bearer");
    return std::unexpected(std::move(response));
}

std::unexpected<http::Response> forbidden(std::string detail) {
    return std::unexpected(http::problem(403, std::move(detail)));
}

// The task gives the user and project that a worker's token does not name itself.
constexpr std::string_view kFindToken =
    "SELECT t.id, t.kind, t.worker_id, t.task_id, t.actions, t.expires_at, coalesce(t.user_id, k.user_id) AS user_id, "
    "k.project_id AS project_id, u.is_admin AS is_admin FROM tokens t LEFT JOIN tasks k ON k.id = t.task_id "
    "LEFT JOIN users u ON u.id = t.user_id WHERE t.secret_hash = :hash";

Task<Authenticated> caller_of_token(storage::Database* database, std::string secret, Timestamp now) {
    auto found = co_await database->query(std::string(kFindToken), {{"hash", sha256_hex(secret)}});
    if (!found) co_return std::unexpected(problem_of(found.error()));
    if (found->rows.empty()) co_return unauthorized("the token is not known here; it may have been revoked");
    const auto& row = found->rows.front();
    if (const auto expires = row.optional_integer("expires_at"); expires && *expires <= to_micros(now)) {
        co_return unauthorized("the token expired at " + format_timestamp(from_micros(*expires)));
    }
    Caller caller;
    caller.kind = enum_column<TokenKind>(row, "kind");
    caller.token_id = row.text("id");
    caller.user_id = row.optional_integer("user_id");
    caller.is_admin_user = row.optional_integer("is_admin").value_or(0) != 0;
    caller.worker_id = row.optional_text("worker_id").value_or("");
    caller.task_id = row.optional_text("task_id");
    caller.project_id = row.optional_text("project_id");
    caller.actions = string_list(row.text("actions"));
    co_return caller;
}

Task<Authenticated> acting_for(storage::Database* database, Caller caller, std::string telegram_id) {
    std::int64_t id = 0;
    const auto* end = telegram_id.data() + telegram_id.size();
    const auto parsed = std::from_chars(telegram_id.data(), end, id);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
        co_return forbidden(fmt::format("X-Telegram-ID is \"{}\": expected a number", telegram_id.substr(0, 40)));
    }
    auto found = co_await database->query("SELECT id, is_admin FROM users WHERE telegram_id = :id", {{"id", id}});
    if (!found) co_return std::unexpected(problem_of(found.error()));
    if (found->rows.empty()) {
        co_return forbidden(fmt::format("no user has telegram_id {}; POST /api/users/upsert makes one", id));
    }
    caller.user_id = found->rows.front().integer("id");
    caller.is_admin_user = found->rows.front().integer("is_admin") != 0;
    caller.acting = true;
    co_return caller;
}

}  // namespace

bool Caller::sees_all() const {
    switch (kind) {
        case TokenKind::admin:
            return true;
        case TokenKind::service:
            return !acting || is_admin_user;
        case TokenKind::user:
            return is_admin_user;
        case TokenKind::worker:
            return false;
    }
    return false;
}

std::string Caller::description() const {
    if (is_worker()) return "worker " + worker_id;
    const std::string user = user_id ? fmt::format("user {}", *user_id) : "";
    if (acting && kind == TokenKind::service) return "service for " + user;
    if (kind == TokenKind::user) return user + (token_id.empty() ? " (by header)" : "");
    return std::string(json::name_of(kind));
}

bool permits(const std::vector<std::string>& patterns, std::string_view action) {
    return std::ranges::any_of(patterns, [&](std::string_view pattern) {
        if (pattern == "engineering.trigger") pattern = "engineering.start";  // its older name
        if (pattern == "*" || pattern == action) return true;
        return pattern.ends_with(".*") && action.starts_with(pattern.substr(0, pattern.size() - 1));
    });
}

bool reads_infrastructure_secrets(const Caller& caller) {
    return !caller.acting && opens_infrastructure_secrets(caller.kind, caller.actions);
}

bool opens_infrastructure_secrets(TokenKind kind, const std::vector<std::string>& actions) {
    return kind == TokenKind::service && permits(actions, kInfrastructureSecrets);
}

std::string sha256_hex(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
    std::string hex;
    hex.reserve(2 * size);
    for (unsigned int i = 0; i < size; ++i) fmt::format_to(std::back_inserter(hex), "{:02x}", digest[i]);
    return hex;
}

Task<Authenticated> authenticate(storage::Database* database, const http::Request* request, http::Peer peer,
                                 bool allow_header_auth, Timestamp now) {
    const auto authorization = request->headers.get("Authorization");
    const auto telegram_id = request->headers.get("X-Telegram-ID");
    if (!authorization) {
        if (!telegram_id) co_return unauthorized("a token is needed: Authorization: Bearer TOKEN");
        if (!allow_header_auth || !peer.loopback_tcp) {
            co_return unauthorized(
                "X-Telegram-ID needs a service token beside it (without one: ALLOW_HEADER_AUTH=1, on loopback only)");
        }
        auto caller = co_await acting_for(database, Caller{}, std::string(*telegram_id));
        co_return caller;
    }
    constexpr std::string_view kScheme = "Bearer ";
    if (!boost::algorithm::istarts_with(*authorization, kScheme)) {
        co_return unauthorized("Authorization must be: Bearer TOKEN");
    }
    auto caller = co_await caller_of_token(database, std::string(authorization->substr(kScheme.size())), now);
    if (!caller || !telegram_id) co_return caller;
    if (caller->kind != TokenKind::service) {
        co_return forbidden("only a service token may name another user with X-Telegram-ID");
    }
    auto acting = co_await acting_for(database, std::move(*caller), std::string(*telegram_id));
    co_return acting;
}

}  // namespace codegen::api
