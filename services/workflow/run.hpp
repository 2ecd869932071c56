// One engineering run: what the table `workflow_runs` holds. Values only.
#pragma once
#include <array>
#include <boost/describe.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/workflow/policy.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/contracts/contracts.hpp"

namespace codegen::workflow {

// `scaffold` waits for the first code base of the project; `park` gives the developer's body back and keeps its
// workspace; `pause` is the wait before another attempt.
BOOST_DEFINE_ENUM_CLASS(Node, prepare, scaffold, create_worker, develop, blocked, collect, park, create_tester, test,
                        remove_tester, pause, remove_worker, done)
BOOST_DEFINE_ENUM_CLASS(Ending, completed, failed, cancelled)

// How the task ends. Decided once; the run then only cleans up.
struct Outcome {
    Ending ending{};
    std::optional<Reason> reason;      // absent when completed
    std::optional<std::string> error;  // for people
};
BOOST_DESCRIBE_STRUCT(Outcome, (), (ending, reason, error))

// The project's own tests, run by a worker of its own on what was collected.
struct TestRuns {
    std::optional<std::string> command;     // absent: the project has none
    std::string tester;                     // the worker's name; empty: none yet
    int testers = 0;                        // so far; part of the name
    bool tester_exists = false;             // a delete is owed
    int runs = 0;                           // that told whether the tests pass
    int returns = 0;                        // how often the developer got the work back
    std::optional<bool> passed;             // of the last run
    std::string output;                     // its end, when it failed
    std::optional<std::string> request_id;  // whose execution row is still to be written
    std::optional<Timestamp> since;
    std::optional<contracts::DeveloperWorkerOutput> answer;

    static constexpr std::array<std::string_view, 11> defaulted{"command",    "tester",  "testers", "tester_exists",
                                                                "runs",       "returns", "passed",  "output",
                                                                "request_id", "since",   "answer"};
};
BOOST_DESCRIBE_STRUCT(TestRuns, (),
                      (command, tester, testers, tester_exists, runs, returns, passed, output, request_id, since,
                       answer))

// Everything a run needs to go on without asking anybody; the column `data`.
struct RunData {
    std::string project_id;
    std::optional<std::string> project_name;
    std::optional<std::string> repository_url;
    std::int64_t user_id = 0;
    std::optional<std::string> callback_stream;
    std::string trigger_request_id;  // of the message that asked for the run; answers carry it
    std::string correlation_id;
    std::string prompt;  // the spec byte for byte
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

    // The conversation after its first request: what is said in place of the prompt, and what a person said so far.
    std::optional<std::string> message;
    std::vector<std::string> guidance;
    std::optional<std::string> session_id;
    std::optional<std::string> question;  // of a blocked agent, until a person answers
    bool continuing = false;              // the next create takes the kept workspace and conversation
    bool workspace_kept = false;          // the body was given back: the manager holds the workspace
    std::optional<Node> after_park;
    std::optional<boost::json::object> earlier_gateway;  // counts of a body that is gone, not in any row yet

    // Attempts. `retries`: reason -> how often it was tried again.
    boost::json::object retries;
    std::optional<Outcome> attempt_failure;  // of the attempt that is being cleaned up; the run goes on
    Node after_pause = Node::create_worker;
    std::optional<std::int64_t> memory_limit;  // bytes; after an attempt that ran out of memory
    TestRuns tests;
    std::string traceparent;                        // of whoever asked for the run, or one of its own
    std::vector<contracts::ServiceModule> modules;  // of a project that had no code base yet
    bool scaffolded = false;                        // the scaffolder says that it has one now

    static constexpr std::array<std::string_view, 16> defaulted{
        "message",    "guidance",        "session_id", "question",        "continuing",  "workspace_kept",
        "after_park", "earlier_gateway", "retries",    "attempt_failure", "after_pause", "memory_limit",
        "tests",      "traceparent",     "modules",    "scaffolded"};
};
BOOST_DESCRIBE_STRUCT(RunData, (),
                      (project_id, project_name, repository_url, user_id, callback_stream, trigger_request_id,
                       correlation_id, prompt, task_metadata, worker_id, worker_exists, started_at, developing_since,
                       developing_request_id, claim, collected, outcome, outcome_published, message, guidance,
                       session_id, question, continuing, workspace_kept, after_park, earlier_gateway, retries,
                       attempt_failure, after_pause, memory_limit, tests, traceparent, modules, scaffolded))

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
