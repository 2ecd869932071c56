// Time for the workflow: lost queue entries, passed deadlines, requests that may have been lost.
#pragma once
#include "services/workflow/intake.hpp"

namespace codegen::workflow {

struct SweeperOptions {
    std::chrono::milliseconds interval{2000};
    std::chrono::milliseconds queued_for{10000};  // a task queued, or a command kept, this long lost its queue entry
    std::chrono::hours keep_seen{24 * 7};         // handled messages are kept as evidence
    std::chrono::hours keep_runs{24 * 30};        // and ended runs; their tasks stay
    int page = 500;                               // queued tasks asked for at once
    Clock clock = system_now;
};

class Sweeper {
  public:
    Sweeper(RunStore& store, clients::ApiClient& api, Runner& runner, Intake& intake, SweeperOptions options)
        : store_(store), api_(api), runner_(runner), intake_(intake), options_(std::move(options)) {}
    Task<void> run();  // until cancelled; errors are logged and tried again the next time
    // Passed deadlines and requests to send again; what run() does first, for those who cannot wait for it.
    Task<Result<void>> remind_due();

  private:
    Task<Result<void>> start_forgotten();
    Task<Result<void>> start_if_forgotten(contracts::TaskRecord task);
    RunStore& store_;
    clients::ApiClient& api_;
    Runner& runner_;
    Intake& intake_;
    SweeperOptions options_;
};

}  // namespace codegen::workflow
