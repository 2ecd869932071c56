// What went through one worker's gateway.
#pragma once
#include <boost/json/object.hpp>
#include <cstdint>

namespace codegen::worker_manager {

struct GatewayCounts {
    std::int64_t api_requests = 0;
    std::int64_t stream_entries = 0;
    std::int64_t model_requests = 0;
    std::int64_t model_errors = 0;         // the provider's: answers of 400 and more, no answer, a cut or failed one
    std::int64_t model_own_errors = 0;     // ours: no key, a limit, given up
    std::int64_t model_unmetered = 0;      // answers without (all) figures: cut, or of a shape not known
    std::int64_t model_cost_microusd = 0;  // of what has a price
    std::int64_t model_input_tokens = 0;
    std::int64_t model_output_tokens = 0;
    std::int64_t model_cache_read_tokens = 0;
    std::int64_t model_cache_write_tokens = 0;
    std::int64_t model_bytes_sent = 0;
    std::int64_t model_bytes_received = 0;
    std::int64_t tunnels = 0;
    std::int64_t tunnel_bytes_sent = 0;
    std::int64_t tunnel_bytes_received = 0;
    std::int64_t refusals = 0;
};

std::int64_t tokens_of(const GatewayCounts& counts);  // of models, all kinds

boost::json::object to_json(const GatewayCounts& counts);
GatewayCounts counts_from_json(const boost::json::object& object);  // what is missing is 0

}  // namespace codegen::worker_manager
