// What goes into a worker and comes out of it.
#pragma once
#include <boost/json/object.hpp>
#include <vector>

#include "shared/contracts/queues/agent.hpp"

namespace codegen::contracts {

struct POWorkerInput {
    std::string request_id = new_uuid();
    std::int64_t user_id = 0;
    std::string prompt;
    Timestamp timestamp = system_now();

    static constexpr std::array<std::string_view, 2> defaulted{"request_id", "timestamp"};
};
BOOST_DESCRIBE_STRUCT(POWorkerInput, (), (request_id, user_id, prompt, timestamp))

struct POWorkerOutput {
    std::string request_id = new_uuid();
    std::int64_t user_id = 0;
    std::string text;
    bool is_final = true;
    Timestamp timestamp = system_now();
    std::optional<std::string> session_id;
    std::optional<bool> session_lost;  // true: the conversation to be continued was gone, a new one was begun

    static constexpr std::array<std::string_view, 3> defaulted{"request_id", "is_final", "timestamp"};
};
BOOST_DESCRIBE_STRUCT(POWorkerOutput, (), (request_id, user_id, text, is_final, timestamp, session_id, session_lost))

struct DeveloperWorkerInput {
    std::string request_id = new_uuid();
    std::string task_id;
    std::string project_id;
    std::string prompt;
    std::int64_t timeout = 1800;  // seconds, at least 1
    Timestamp timestamp = system_now();
    std::optional<double> budget_usd;
    std::optional<std::string> session_id;
    std::optional<std::vector<std::string>> allowed_commands;

    static constexpr std::array<std::string_view, 3> defaulted{"request_id", "timeout", "timestamp"};
    static constexpr std::array<json::Rule, 2> rules{at_least("timeout", 1, "at least 1 second"),
                                                     at_least("budget_usd", 0, "0 or more US dollars")};
};
BOOST_DESCRIBE_STRUCT(DeveloperWorkerInput, (),
                      (request_id, task_id, project_id, prompt, timeout, timestamp, budget_usd, session_id,
                       allowed_commands))

struct DeveloperWorkerOutput : BaseResult {
    std::string task_id;
    std::optional<std::string> commit_sha;
    std::optional<std::string> pr_url;
    Timestamp timestamp = system_now();
    std::optional<std::string> worker_id;
    std::optional<AgentVerdict> verdict;
    std::optional<AgentUsage> usage;
    std::optional<std::string> session_id;
    std::optional<FailureReason> reason;
    std::optional<bool> session_lost;  // true: the conversation to be continued was gone, a new one was begun

    static constexpr std::array<std::string_view, 1> defaulted{"timestamp"};
};
BOOST_DESCRIBE_STRUCT(DeveloperWorkerOutput, (BaseResult),
                      (task_id, commit_sha, pr_url, timestamp, worker_id, verdict, usage, session_id, reason,
                       session_lost))

struct WorkerLifecycleEvent {
    std::string worker_id;
    LifecycleKind event{};
    Timestamp timestamp = system_now();
    std::optional<boost::json::object> result;
    std::optional<std::string> error;
    std::optional<std::int64_t> exit_code;
    std::optional<FailureReason> reason;

    static constexpr std::array<std::string_view, 1> defaulted{"timestamp"};
};
BOOST_DESCRIBE_STRUCT(WorkerLifecycleEvent, (), (worker_id, event, timestamp, result, error, exit_code, reason))

}  // namespace codegen::contracts
