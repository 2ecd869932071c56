#include "services/worker-manager/gateway/earlier_usage.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <string>

#include "services/worker-manager/gateway/counts.hpp"
#include "shared/json/json.hpp"

namespace codegen::worker_manager {
namespace {

double number(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value && value->is_number() ? std::max(0.0, value->to_number<double>()) : 0;
}

const boost::json::object* child(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value ? value->if_object() : nullptr;
}

}  // namespace

EarlierUsage earlier_usage(std::string_view executions, std::string_view worker_id) {
    EarlierUsage sum;
    std::map<std::string, EarlierUsage> workers;
    const auto parsed = json::parse_any(executions);
    const auto* list = parsed ? parsed->if_array() : nullptr;
    if (!list) return sum;
    for (const auto& item : *list) {
        const auto* row = item.if_object();
        const auto* who = row ? row->if_contains("worker_id") : nullptr;
        if (!who || !who->is_string() || who->get_string() == worker_id) continue;
        const auto* data = child(*row, "result_data");
        if (const auto* gateway = data ? child(*data, "gateway") : nullptr) {
            const auto counts = counts_from_json(*gateway);
            auto& worker = workers[std::string(who->get_string())];
            worker.tokens = std::max(worker.tokens, tokens_of(counts));
            worker.usd = std::max(worker.usd, static_cast<double>(counts.model_cost_microusd) / 1e6);
            continue;
        }
        for (const auto* name : {"input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"})
            sum.tokens += static_cast<std::int64_t>(std::min(number(*row, name), 1e15));
        sum.usd += number(*row, "cost_usd");
    }
    for (const auto& [id, worker] : workers) {
        sum.tokens += worker.tokens;
        sum.usd += worker.usd;
    }
    return sum;
}

}  // namespace codegen::worker_manager
