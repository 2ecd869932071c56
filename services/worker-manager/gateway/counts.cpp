#include "services/worker-manager/gateway/counts.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace codegen::worker_manager {
namespace {

constexpr std::array<std::pair<std::string_view, std::int64_t GatewayCounts::*>, 17> kFields{{
    {"api_requests", &GatewayCounts::api_requests},
    {"stream_entries", &GatewayCounts::stream_entries},
    {"model_requests", &GatewayCounts::model_requests},
    {"model_errors", &GatewayCounts::model_errors},
    {"model_own_errors", &GatewayCounts::model_own_errors},
    {"model_unmetered", &GatewayCounts::model_unmetered},
    {"model_cost_microusd", &GatewayCounts::model_cost_microusd},
    {"model_input_tokens", &GatewayCounts::model_input_tokens},
    {"model_output_tokens", &GatewayCounts::model_output_tokens},
    {"model_cache_read_tokens", &GatewayCounts::model_cache_read_tokens},
    {"model_cache_write_tokens", &GatewayCounts::model_cache_write_tokens},
    {"model_bytes_sent", &GatewayCounts::model_bytes_sent},
    {"model_bytes_received", &GatewayCounts::model_bytes_received},
    {"tunnels", &GatewayCounts::tunnels},
    {"tunnel_bytes_sent", &GatewayCounts::tunnel_bytes_sent},
    {"tunnel_bytes_received", &GatewayCounts::tunnel_bytes_received},
    {"refusals", &GatewayCounts::refusals},
}};

}  // namespace

std::int64_t tokens_of(const GatewayCounts& counts) {
    return counts.model_input_tokens + counts.model_output_tokens + counts.model_cache_read_tokens +
           counts.model_cache_write_tokens;
}

boost::json::object to_json(const GatewayCounts& counts) {
    boost::json::object out;
    for (const auto& [name, member] : kFields) out[name] = counts.*member;
    return out;
}

GatewayCounts counts_from_json(const boost::json::object& object) {
    GatewayCounts counts;
    for (const auto& [name, member] : kFields)
        if (const auto* value = object.if_contains(name); value && value->is_int64())
            counts.*member = value->as_int64();
    return counts;
}

}  // namespace codegen::worker_manager
