// Moves stored runs: loads, asks the engine, writes with compare-and-set, carries out what the outbox cannot.
#pragma once
#include <filesystem>
#include <functional>
#include <set>
#include <string>

#include "services/workflow/scaffolding.hpp"
#include "services/workflow/store.hpp"
#include "shared/async/scope.hpp"
#include "shared/clients/api/api_client.hpp"

namespace codegen::workflow {

struct RunnerOptions {
    std::filesystem::path repositories;  // where local bare repositories are
    std::string instance;                // lease owner
    Timings timings;
    Clock clock = system_now;
    Policy policy{};
};

// Use on one thread. `store`, `api`, `scope` and `scaffolding` outlive it; the scope is stopped before the runner dies.
class Runner {
  public:
    Runner(RunStore& store, clients::ApiClient& api, async::Scope& scope, Scaffolding& scaffolding,
           RunnerOptions options);

    // Makes the event once the run it belongs to is known (how to read an answer depends on the run's node).
    using MakeEvent = std::function<Result<Event>(const Run&)>;

    // A run for this task; false: it has one. `first` is Begin, or CancelAsked for one that ends before it began.
    Task<Result<bool>> start(contracts::TaskRecord task, std::string trigger_request_id, std::string correlation_id,
                             std::optional<std::string> callback_stream, Event first);
    // An answer: moves the run that waits for `seen.request_id`; without one the message is recorded as stale.
    Task<Result<void>> answer(Seen seen, MakeEvent make);
    // A wish about the run of one task (cancel, resume) from somebody who may. False: the task has no run.
    Task<Result<bool>> ask(Seen seen, std::string task_id, Event event);
    // A deadline or a resend of a run that was read earlier.
    Task<Result<void>> remind(Run run, Event event);

    Context context() const;

  private:
    Task<Result<bool>> save(Run before, Step step, std::optional<Seen> seen);
    void carry_out(const Step& step);
    Task<void> prepare(std::string task_id, std::string project_id, PrepareRepository asked);
    // `patient`: a scaffolder that a project waits for may still appear.
    Task<Result<Event>> try_prepare(std::string project_id, PrepareRepository asked, bool patient);
    // Whether the scaffolder is to make the project's code base; otherwise it begins with a repository of its own.
    Task<Result<bool>> is_to_be_scaffolded(contracts::Project project, bool patient);
    Task<Result<void>> internal_answer(std::string fence, Event event);

    RunStore& store_;
    clients::ApiClient& api_;
    async::Scope& scope_;
    Scaffolding& scaffolding_;
    RunnerOptions options_;
    std::set<std::string> preparing_;  // fences
};

}  // namespace codegen::workflow
