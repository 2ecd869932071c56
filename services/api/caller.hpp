// Who sends a request and what it may reach.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/timestamp.hpp"
#include "shared/contracts/vocabulary.hpp"
#include "shared/http/message.hpp"
#include "shared/http/server.hpp"
#include "shared/storage/database.hpp"

namespace codegen::api {

struct Caller {
    contracts::TokenKind kind = contracts::TokenKind::user;
    std::string token_id;                 // empty: named by header alone
    std::optional<std::int64_t> user_id;  // whose objects; worker: of the token, else of its task
    bool is_admin_user = false;           // users.is_admin of user_id
    bool acting = false;                  // a service token that named its user with X-Telegram-ID
    // kind == worker:
    std::string worker_id;
    std::optional<std::string> task_id;
    std::optional<std::string> project_id;  // of task_id
    std::vector<std::string> actions;

    bool is_worker() const { return kind == contracts::TokenKind::worker; }
    // Whether `actions` say what it may do: always of a worker, of others when there are any.
    bool is_bound() const { return is_worker() || !actions.empty(); }
    // Every object of every user: admins, and services that speak for themselves.
    bool sees_all() const;
    std::string description() const;  // for the log: "worker dev-1", "service for user 7"
};

// Does one of `patterns` ("*", "project.*", "project.get") allow `action`? None allows nothing.
bool permits(const std::vector<std::string>& patterns, std::string_view action);

// The keys that servers are entered with: a service for itself whose token names kInfrastructureSecrets among its
// actions. A token without actions, which may do everything else, may not.
bool reads_infrastructure_secrets(const Caller& caller);
// Whether a token of this kind with these actions would. Only who reads them itself may make one.
bool opens_infrastructure_secrets(contracts::TokenKind kind, const std::vector<std::string>& actions);
inline constexpr std::string_view kInfrastructureSecrets = "infra.secrets";

std::string sha256_hex(std::string_view text);

// The caller, or the answer that refuses it (401, 403, 503).
Task<std::expected<Caller, http::Response>> authenticate(storage::Database* database, const http::Request* request,
                                                         http::Peer peer, bool allow_header_auth, Timestamp now);

}  // namespace codegen::api
