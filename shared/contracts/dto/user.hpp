// /api/users and /api/tokens.
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/contracts/rules.hpp"
#include "shared/contracts/vocabulary.hpp"
#include "shared/json/patch.hpp"

namespace codegen::contracts {

struct User {
    std::int64_t id = 0;
    std::optional<std::int64_t> telegram_id;  // unique; a local user has none
    std::optional<std::string> username;
    std::optional<std::string> first_name;
    std::optional<std::string> last_name;
    bool is_admin = false;
    std::optional<Timestamp> created_at;  // ours always has both; the older system's answers lack them
    std::optional<Timestamp> last_seen;
};
BOOST_DESCRIBE_STRUCT(User, (), (id, telegram_id, username, first_name, last_name, is_admin, created_at, last_seen))

struct UserCreate {
    std::optional<std::int64_t> telegram_id;
    std::optional<std::string> username;
    std::optional<std::string> first_name;
    std::optional<std::string> last_name;
    bool is_admin = false;

    static constexpr std::array<std::string_view, 1> defaulted{"is_admin"};
};
BOOST_DESCRIBE_STRUCT(UserCreate, (), (telegram_id, username, first_name, last_name, is_admin))

// POST /users/upsert. What is absent stays as it is.
struct UserUpsert {
    std::int64_t telegram_id = 0;
    std::optional<std::string> username;
    std::optional<std::string> first_name;
    std::optional<std::string> last_name;
    std::optional<bool> is_admin;
};
BOOST_DESCRIBE_STRUCT(UserUpsert, (), (telegram_id, username, first_name, last_name, is_admin))

struct Token {
    std::string id;
    TokenKind kind{};
    std::optional<std::int64_t> user_id;
    std::optional<std::string> worker_id;
    std::optional<std::string> task_id;
    std::vector<std::string> actions;
    std::optional<Timestamp> expires_at;
};
BOOST_DESCRIBE_STRUCT(Token, (), (id, kind, user_id, worker_id, task_id, actions, expires_at))

struct TokenCreate {
    std::optional<std::string> id;  // made by the client
    TokenKind kind{};
    std::optional<std::int64_t> user_id;
    std::optional<std::string> worker_id;
    std::optional<std::string> task_id;
    std::vector<std::string> actions;
    std::optional<Timestamp> expires_at;

    static constexpr std::array<std::string_view, 1> defaulted{"actions"};
    static constexpr std::array<json::Rule, 2> rules{client_id("id"), worker_name("worker_id")};
    static constexpr std::array<json::Need, 2> needs{{{"user_id", "kind", "user"}, {"worker_id", "kind", "worker"}}};
};
BOOST_DESCRIBE_STRUCT(TokenCreate, (), (id, kind, user_id, worker_id, task_id, actions, expires_at))

// The answer to POST /tokens, the only one that holds the secret.
struct TokenCreated : Token {
    std::string secret;
};
BOOST_DESCRIBE_STRUCT(TokenCreated, (Token), (secret))

}  // namespace codegen::contracts
