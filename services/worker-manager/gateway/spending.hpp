// What a worker's run has used of its limits: `budget_usd` of its request and MAX_TOKENS_PER_TASK. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "services/worker-manager/gateway/usage.hpp"

namespace codegen::worker_manager {

// US dollars per million tokens.
struct ModelPrice {
    double input = 0;
    double output = 0;
    double cache_read = 0;
    double cache_write = 0;
};
double cost_usd(const ModelPrice& price, const ModelUsage& usage);

// What the wrapper says when a run begins, and again whenever it has found the gateway again.
struct AnnouncedRun {
    std::string request_id;
    std::optional<double> budget_usd;
    std::int64_t tokens = 0;  // what a former gateway had counted against the limits, as it told the wrapper
    double usd = 0;
};

class Spending {
  public:
    // 0: no limit. `whole_worker`: all runs of the worker are one task's, so what they use adds up; else each run
    // begins with nothing used.
    void limit(std::int64_t max_tokens, bool whole_worker);
    // Of the same task, before: by this worker or by others.
    void add_earlier(std::int64_t tokens, double usd);

    // True: another run than before. The same one again keeps the higher figures.
    bool begin(const AnnouncedRun& run);
    void end(const std::string& request_id);
    void add(const ModelUsage& usage, const std::optional<ModelPrice>& price);

    const std::optional<std::string>& run() const { return run_; }  // its request_id; none: between two runs
    std::int64_t tokens() const;
    double usd() const;
    bool with_budget() const { return budget_usd_.has_value(); }
    // Why it must stop, with figure and limit.
    std::optional<std::string> exceeded() const;

  private:
    std::int64_t max_tokens_ = 0;
    bool whole_worker_ = false;
    std::optional<std::string> run_;
    std::optional<double> budget_usd_;
    // Counted here, with what is known of earlier; and what a former gateway had told, with what was counted since. The
    // higher one holds: either may know of something that the other does not.
    std::int64_t counted_tokens_ = 0, told_tokens_ = 0;
    double counted_usd_ = 0, told_usd_ = 0;
};

}  // namespace codegen::worker_manager
