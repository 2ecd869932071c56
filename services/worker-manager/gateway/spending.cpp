#include "services/worker-manager/gateway/spending.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace codegen::worker_manager {

double cost_usd(const ModelPrice& price, const ModelUsage& usage) {
    const auto of = [](std::int64_t tokens, double per_million) {
        return static_cast<double>(tokens) * per_million / 1e6;
    };
    return of(usage.input_tokens, price.input) + of(usage.output_tokens, price.output) +
           of(usage.cache_read_tokens, price.cache_read) + of(usage.cache_write_tokens, price.cache_write);
}

void Spending::limit(std::int64_t max_tokens, bool whole_worker) {
    max_tokens_ = max_tokens;
    whole_worker_ = whole_worker;
}

void Spending::add_earlier(std::int64_t tokens, double usd) {
    counted_tokens_ += tokens;
    counted_usd_ += usd;
}

bool Spending::begin(const AnnouncedRun& run) {
    const bool another = run_ != run.request_id;
    if (another && !whole_worker_) {
        counted_tokens_ = told_tokens_ = 0;
        counted_usd_ = told_usd_ = 0;
    }
    run_ = run.request_id;
    budget_usd_ = run.budget_usd;
    told_tokens_ = std::max(told_tokens_, run.tokens);
    told_usd_ = std::max(told_usd_, run.usd);
    return another;
}

void Spending::end(const std::string& request_id) {
    if (run_ != request_id) return;
    run_.reset();
    budget_usd_.reset();
}

void Spending::add(const ModelUsage& usage, const std::optional<ModelPrice>& price) {
    counted_tokens_ += usage.total();
    told_tokens_ += usage.total();
    if (!price) return;
    counted_usd_ += cost_usd(*price, usage);
    told_usd_ += cost_usd(*price, usage);
}

std::int64_t Spending::tokens() const { return std::max(counted_tokens_, told_tokens_); }
double Spending::usd() const { return std::max(counted_usd_, told_usd_); }

std::optional<std::string> Spending::exceeded() const {
    if (budget_usd_ && usd() > *budget_usd_)
        return fmt::format("{:.4f} USD of model usage, the budget is {:g} USD (budget_usd)", usd(), *budget_usd_);
    if (max_tokens_ > 0 && tokens() > max_tokens_)
        return fmt::format("{} tokens of model usage, the limit is {} (MAX_TOKENS_PER_TASK)", tokens(), max_tokens_);
    return {};
}

}  // namespace codegen::worker_manager
