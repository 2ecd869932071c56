// One engineering run: what the table `workflow_runs` holds. Values only.
#pragma once
#include <boost/describe.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/timestamp.hpp"
#include "shared/contracts/contracts.hpp"

namespace codegen::workflow {

BOOST_DEFINE_ENUM_CLASS(Node, prepare, create_worker, develop, blocked, collect, remove_worker, done)
BOOST_DEFINE_ENUM_CLASS(Ending, completed, failed, cancelled)
using Reason = contracts::FailureReason;

// How the task ends. Decided once; the run then only cleans up.
struct Outcome {
    Ending ending{};
    std::optional<Reason> reason;      // absent when completed
    std::optional<std::string> error;  // for people
};
BOOST_DESCRIBE_STRUCT(Outcome, (), (ending, reason, error))

// Everything a run needs to go on without asking anybody; the column `data`.
struct RunData {
    std::string project_id;
    std::optional<std::string> project_name;
    std::optional<std::string> repository_url;
    std::int64_t user_id = 0;
    std::optional<std::string> callback_stream;
    std::string trigger_request_id;  // of the message that asked for the run; answers carry it
    std::string correlation_id;
    std::string prompt;  // the spec byte for byte, or the guidance after a resume
    boost::json::object task_metadata;
    std::string worker_id;
    bool worker_exists = false;  // a create command went out and was not refused: a delete is owed
    Timestamp started_at{};
    std::optional<Timestamp> developing_since;
    std::optional<std::string> developing_request_id;  // whose execution row is still to be written
    std::optional<contracts::DeveloperWorkerOutput> claim;
    std::optional<contracts::CollectWorkerResponse> collected;
    std::optional<Outcome> outcome;
    bool outcome_published = false;
};
BOOST_DESCRIBE_STRUCT(RunData, (),
                      (project_id, project_name, repository_url, user_id, callback_stream, trigger_request_id,
                       correlation_id, prompt, task_metadata, worker_id, worker_exists, started_at, developing_since,
                       developing_request_id, claim, collected, outcome, outcome_published))

struct Run {
    std::string task_id;
    Node node = Node::prepare;
    int attempt = 1;                    // of the worker; part of its name
    std::string request_id;             // the fence: only an answer to this counts; new for every node
    std::int64_t revision = 0;          // of the row, for the store's compare-and-set
    std::optional<Timestamp> deadline;  // absent: waits for a person, or is done
    std::optional<Timestamp> resend_at;
    RunData data;
};

inline bool is_terminal(const Run& run) { return run.node == Node::done; }
inline std::string branch_of(const Run& run) { return "task/" + run.task_id; }

}  // namespace codegen::workflow
