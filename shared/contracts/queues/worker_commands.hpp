// worker:commands and worker:responses:*: how workers are made, asked, harvested and removed.
#pragma once
#include <boost/json/object.hpp>
#include <map>
#include <variant>
#include <vector>

#include "shared/contracts/queues/base.hpp"
#include "shared/json/json.hpp"

namespace codegen::contracts {

struct WorkspaceSpec {
    std::string repo_url;
    std::string base_ref = "main";
    std::string branch;
    std::optional<bool> resume;  // not a new clone: the workspace that this worker's name left (keep_workspace)

    static constexpr std::array<std::string_view, 1> defaulted{"base_ref"};
};
BOOST_DESCRIBE_STRUCT(WorkspaceSpec, (), (repo_url, base_ref, branch, resume))

struct WorkerConfig {
    std::string name;  // the worker's id: is_worker_name
    WorkerType worker_type{};
    AgentType agent_type{};
    std::string instructions;  // text of CLAUDE.md / AGENTS.md
    std::vector<std::string> allowed_commands;
    std::vector<Capability> capabilities;
    std::map<std::string, std::string> env_vars;
    std::optional<std::string> image;         // bring your own
    std::optional<std::string> memory_limit;  // e.g. "512m"
    std::optional<double> cpu_limit;
    std::optional<std::int64_t> pids_limit;           // processes and threads
    std::optional<bool> pool;                         // also reads the shared developer stream
    std::optional<std::vector<std::string>> command;  // for custom
    std::optional<AuthMode> auth_mode;
    std::optional<std::string> network;  // "none" or a network's name

    static constexpr std::array<std::string_view, 1> defaulted{"env_vars"};
    static constexpr std::array<json::Rule, 2> rules{worker_name("name"),
                                                     {.field = "cpu_limit",
                                                      .expected = "a number of processors above 0 such as 1.5",
                                                      .minimum = 0,
                                                      .above_minimum = true}};
    void check(FieldErrors& errors, const std::string& prefix) const;
    friend bool operator==(const WorkerConfig&, const WorkerConfig&) = default;
};
BOOST_DESCRIBE_STRUCT(WorkerConfig, (),
                      (name, worker_type, agent_type, instructions, allowed_commands, capabilities, env_vars, image,
                       memory_limit, cpu_limit, pids_limit, pool, command, auth_mode, network))

struct CreateWorkerCommand : QueueMeta {
    WorkerCommandKind command = WorkerCommandKind::create;
    std::string request_id = new_uuid();
    WorkerConfig config;
    std::map<std::string, std::string> context;  // user_id, task_id, ...
    std::optional<WorkspaceSpec> workspace;
    std::optional<std::string> callback_stream;

    static constexpr std::array<std::string_view, 3> defaulted{"command", "request_id", "context"};
    static constexpr std::array<json::Rule, 1> rules{only("command", "create")};
};
BOOST_DESCRIBE_STRUCT(CreateWorkerCommand, (QueueMeta),
                      (command, request_id, config, context, workspace, callback_stream))

// Check the worker's commits and push them.
struct CollectWorkerCommand : QueueMeta {
    WorkerCommandKind command = WorkerCommandKind::collect;
    std::string request_id = new_uuid();
    std::string worker_id;
    std::string branch;
    std::optional<std::string> claimed_sha;
    std::optional<std::string> callback_stream;

    static constexpr std::array<std::string_view, 2> defaulted{"command", "request_id"};
    static constexpr std::array<json::Rule, 2> rules{only("command", "collect"), worker_name("worker_id")};
};
BOOST_DESCRIBE_STRUCT(CollectWorkerCommand, (QueueMeta),
                      (command, request_id, worker_id, branch, claimed_sha, callback_stream))

struct DeleteWorkerCommand : QueueMeta {
    WorkerCommandKind command = WorkerCommandKind::delete_;
    std::string request_id = new_uuid();
    std::string worker_id;
    std::optional<std::string> callback_stream;
    std::optional<bool> keep_workspace;  // for a later create with workspace.resume, or until a delete without it

    static constexpr std::array<std::string_view, 2> defaulted{"command", "request_id"};
    static constexpr std::array<json::Rule, 2> rules{only("command", "delete"), worker_name("worker_id")};
};
BOOST_DESCRIBE_STRUCT(DeleteWorkerCommand, (QueueMeta),
                      (command, request_id, worker_id, callback_stream, keep_workspace))

struct StatusWorkerCommand : QueueMeta {
    WorkerCommandKind command = WorkerCommandKind::status;
    std::string request_id = new_uuid();
    std::string worker_id;
    std::optional<std::string> callback_stream;

    static constexpr std::array<std::string_view, 2> defaulted{"command", "request_id"};
    static constexpr std::array<json::Rule, 2> rules{only("command", "status"), worker_name("worker_id")};
};
BOOST_DESCRIBE_STRUCT(StatusWorkerCommand, (QueueMeta), (command, request_id, worker_id, callback_stream))

// Told apart by `command`. json::parse<WorkerCommand> is the same as parse_worker_command.
using WorkerCommand = std::variant<CreateWorkerCommand, DeleteWorkerCommand, StatusWorkerCommand, CollectWorkerCommand>;
json::Parsed<WorkerCommand> parse_worker_command(std::string_view text);
std::string write(const WorkerCommand& command);

struct CreateWorkerResponse {
    std::string request_id = new_uuid();
    bool success = false;
    std::optional<std::string> worker_id;
    std::optional<std::string> error;

    static constexpr std::array<std::string_view, 1> defaulted{"request_id"};
};
BOOST_DESCRIBE_STRUCT(CreateWorkerResponse, (), (request_id, success, worker_id, error))

struct DeleteWorkerResponse {
    std::string request_id = new_uuid();
    bool success = false;
    std::optional<std::string> error;
    std::optional<boost::json::object> gateway;  // its counts

    static constexpr std::array<std::string_view, 1> defaulted{"request_id"};
};
BOOST_DESCRIBE_STRUCT(DeleteWorkerResponse, (), (request_id, success, error, gateway))

struct StatusWorkerResponse {
    std::string request_id = new_uuid();
    bool success = false;
    std::optional<WorkerStatus> status;
    std::optional<std::string> error;

    static constexpr std::array<std::string_view, 1> defaulted{"request_id"};
};
BOOST_DESCRIBE_STRUCT(StatusWorkerResponse, (), (request_id, success, status, error))

struct CollectWorkerResponse {
    std::string request_id = new_uuid();
    bool success = false;
    std::optional<std::string> commit_sha;  // absent: no new commit
    std::int64_t commits = 0;
    std::optional<std::vector<std::string>> files_changed;
    std::optional<FailureReason> reason;
    std::optional<boost::json::object> gateway;  // its counts
    std::optional<std::string> error;

    static constexpr std::array<std::string_view, 2> defaulted{"request_id", "commits"};
};
BOOST_DESCRIBE_STRUCT(CollectWorkerResponse, (),
                      (request_id, success, commit_sha, commits, files_changed, reason, gateway, error))

}  // namespace codegen::contracts

template <>
codegen::json::Parsed<codegen::contracts::WorkerCommand> codegen::json::parse<codegen::contracts::WorkerCommand>(
    std::string_view text);
template <>
codegen::json::Parsed<codegen::contracts::WorkerCommand> codegen::json::parse_fields<codegen::contracts::WorkerCommand>(
    std::string_view text);
