// What a worker-manager tells the API about itself, asks it about people, and answers them over its own HTTP
// (docs/protocols.md, "The manager's HTTP"). Not part of contracts.hpp: few need it.
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/contracts/rules.hpp"
#include "shared/contracts/vocabulary.hpp"

namespace codegen::contracts {

// PUT /api/hosts/{name}: a worker-manager says where it is; the API notes when.
struct HostAnnouncement {
    std::string manager_url;    // http://, https:// or http+unix://
    std::int64_t capacity = 0;  // workers at once

    static constexpr std::array<json::Rule, 1> rules{at_least("capacity", 0, "at least 0")};
};
BOOST_DESCRIBE_STRUCT(HostAnnouncement, (), (manager_url, capacity))

// GET /api/tokens/self: whose token the caller sent, for services that are asked by people.
struct TokenSelf {
    TokenKind kind{};
    std::optional<std::int64_t> user_id;  // whose objects it reaches, unless it sees all
    bool sees_all = false;                // admins, and services that speak for themselves
    std::vector<std::string> actions;     // what it may do; none: everything
};
BOOST_DESCRIBE_STRUCT(TokenSelf, (), (kind, user_id, sees_all, actions))

struct WorkerView {
    std::string worker_id;
    std::string host;
    std::string runtime;
    WorkerState status{};
    WorkerType worker_type{};
    AgentType agent_type{};
    std::int64_t attempt = 1;  // how many bodies this name has had
    std::optional<std::string> task_id;
    std::optional<std::string> project_id;
    std::optional<std::int64_t> user_id;
    std::optional<std::string> image;
    std::optional<std::string> body_id;
    bool ended = false;  // the body ended without being asked to
    std::optional<std::int64_t> exit_code;
    bool out_of_memory = false;
    std::optional<std::string> error;
    boost::json::object gateway;  // its counts
    Timestamp created_at{};
    Timestamp updated_at{};
};
BOOST_DESCRIBE_STRUCT(WorkerView, (),
                      (worker_id, host, runtime, status, worker_type, agent_type, attempt, task_id, project_id, user_id,
                       image, body_id, ended, exit_code, out_of_memory, error, gateway, created_at, updated_at))

// POST /workers/{id}/exec
struct WorkerExec {
    std::vector<std::string> command;  // program and arguments; no shell
    std::int64_t timeout = 60;         // seconds

    static constexpr std::array<std::string_view, 1> defaulted{"timeout"};
    static constexpr std::array<json::Rule, 2> rules{
        {{.field = "command", .expected = "a program and its arguments", .min_items = 1},
         between("timeout", 1, 3600, "1 to 3600 seconds")}};
    void check(FieldErrors& errors, const std::string& prefix) const;
};
BOOST_DESCRIBE_STRUCT(WorkerExec, (), (command, timeout))

struct WorkerExecAnswer {
    std::int64_t exit_code = 0;  // 128 + signal for a killed one
    std::string output;          // stdout and stderr in their order, redacted
    bool truncated = false;      // the output had more
};
BOOST_DESCRIBE_STRUCT(WorkerExecAnswer, (), (exit_code, output, truncated))

// GET /images
struct ImageView {
    std::string tag;
    std::string host;
    std::optional<std::string> agent;  // its folder: "claude-2.1.197"
    std::int64_t bytes = 0;            // layers that it shares with others are counted in each
    Timestamp built_at{};
    Timestamp last_used{};
    bool in_use = false;  // a container of it exists, or a worker of it is being made
};
BOOST_DESCRIBE_STRUCT(ImageView, (), (tag, host, agent, bytes, built_at, last_used, in_use))

// POST /images/prune
struct ImagePrune {
    std::int64_t unused_for_hours = std::int64_t{24} * 7;  // 0: everything that is not in use now

    static constexpr std::array<std::string_view, 1> defaulted{"unused_for_hours"};
    static constexpr std::array<json::Rule, 1> rules{between("unused_for_hours", 0, 87600, "0 to 87600 hours")};
};
BOOST_DESCRIBE_STRUCT(ImagePrune, (), (unused_for_hours))

struct ImagePruneAnswer {
    std::string host;
    std::vector<std::string> removed;
    std::vector<std::string> kept;    // why something that was to go is still there
    std::int64_t leftover_bytes = 0;  // given back for what builds left behind
};
BOOST_DESCRIBE_STRUCT(ImagePruneAnswer, (), (host, removed, kept, leftover_bytes))

}  // namespace codegen::contracts
