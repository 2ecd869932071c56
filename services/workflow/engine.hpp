// The engineering run as a state machine without I/O, clocks or randomness of its own.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "services/workflow/policy.hpp"
#include "services/workflow/run.hpp"

namespace codegen::workflow {

// How long each wait may last. Beyond it the attempt ends (`timeout` while developing, else `infrastructure`).
struct Timings {
    std::chrono::milliseconds prepare{std::chrono::minutes(2)};
    std::chrono::milliseconds scaffold{std::chrono::minutes(15)};       // the first code base of a project
    std::chrono::milliseconds create_worker{std::chrono::minutes(30)};  // image builds and waiting for a free slot
    std::chrono::milliseconds develop_grace{std::chrono::minutes(1)};   // beyond the agent's own time limit
    std::chrono::milliseconds collect{std::chrono::minutes(10)};
    std::chrono::seconds test{600};  // the project's own tests; stopped by their worker after this
    // The outcome waits this long for the worker to be gone, then is published; the removal goes on.
    std::chrono::milliseconds remove_worker{std::chrono::seconds(15)};
    // A run that goes on without that worker waits longer: a manager that restarts must not end it.
    std::chrono::milliseconds give_back{std::chrono::minutes(10)};
    std::chrono::milliseconds resend{std::chrono::minutes(1)};  // outstanding requests are sent again
    // A blocked agent's worker waits this long for its person; then only its workspace and conversation are kept.
    std::chrono::milliseconds blocked_worker{std::chrono::minutes(10)};
    std::chrono::milliseconds retry_pause{std::chrono::seconds(2)};  // doubled with every retry of the task
};

// Events. Answers carry the request they answer.
struct Begin {};
struct RepositoryReady {
    std::string request_id;
    std::string project_name;
    std::string repository_url;
    std::optional<std::string> test_command{};  // of the project
};
struct RepositoryFailed {
    std::string request_id;
    std::string error;
};
struct CodeBaseMissing {  // and somebody runs who makes one
    std::string request_id;
    std::string project_name;
    std::vector<contracts::ServiceModule> modules;
};
struct ProjectScaffolded {
    contracts::ScaffolderResult result;
};
struct WorkerCreated {
    contracts::CreateWorkerResponse response;
};
struct DeveloperFinished {
    contracts::DeveloperWorkerOutput output;
};
struct WorkCollected {
    contracts::CollectWorkerResponse response;
};
struct WorkerDeleted {
    contracts::DeleteWorkerResponse response;
};
struct DeadlinePassed {
    std::string request_id;  // the fence whose deadline it was
};
struct ResendDue {};
struct AskerKnown {  // of a run that began without its queue entry
    std::string request_id;
    std::string callback_stream;
};
struct CancelAsked {};
struct ResumeAsked {
    std::string guidance;
};
using Event = std::variant<Begin, RepositoryReady, RepositoryFailed, CodeBaseMissing, ProjectScaffolded, WorkerCreated,
                           DeveloperFinished, WorkCollected, WorkerDeleted, DeadlinePassed, ResendDue, AskerKnown,
                           CancelAsked, ResumeAsked>;

// Effects, in order. Publish, CallApi and OpenPullRequest go through the outbox; PrepareRepository is answered by
// RepositoryReady, RepositoryFailed or CodeBaseMissing and is safe to repeat.
struct Publish {
    std::string stream;
    std::string message;  // JSON
};
struct CallApi {
    std::string method;
    std::string target;
    std::string body;  // JSON
};
struct PrepareRepository {
    std::string request_id;
    bool scaffolded = false;  // the scaffolder was waited for already
};
// Of the task's branch; what came of it is written into the task's result. The last one of its step: what is behind it
// waits as long as GitHub is away.
struct OpenPullRequest {
    std::string task_id;
    std::string repository_url;
    std::string branch;
    std::string title;
    std::string body;
};
using Effect = std::variant<Publish, CallApi, PrepareRepository, OpenPullRequest>;

struct Context {
    Timestamp now;
    std::function<std::string()> new_id;
    Timings timings;
    Policy policy{};
};

struct Step {
    Run run;
    std::vector<Effect> effects;
    // False: stale, duplicate or not possible here. The run is unchanged; effects may hold a note for people, the
    // removal of a worker that came too late, or the answer to somebody who asked too late.
    bool accepted = true;
};

// The next state. A new run starts with `Begin` in Node::prepare with an empty request_id.
Step step(Run run, const Event& event, const Context& context);

}  // namespace codegen::workflow
