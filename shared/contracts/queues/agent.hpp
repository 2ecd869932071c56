// What an agent says, spends and concludes.
#pragma once
#include <boost/json/object.hpp>

#include "shared/contracts/queues/base.hpp"

namespace codegen::contracts {

struct AgentVerdict {
    VerdictStatus status{};
    std::string summary;
    boost::json::object data;

    static constexpr std::array<std::string_view, 1> defaulted{"data"};
    // `data` may be half as deep as other objects: it travels inside results and executions.
    void check(FieldErrors& errors, const std::string& prefix) const;
};
BOOST_DESCRIBE_STRUCT(AgentVerdict, (), (status, summary, data))

struct AgentUsage {
    std::int64_t input_tokens = 0;
    std::int64_t output_tokens = 0;
    std::int64_t cache_read_tokens = 0;
    std::int64_t cache_write_tokens = 0;
    std::optional<double> cost_usd;
    std::int64_t turns = 0;
    std::optional<std::string> model;
};
BOOST_DESCRIBE_STRUCT(AgentUsage, (),
                      (input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_usd, turns, model))

struct AgentEvent {
    std::string worker_id;
    std::string request_id = new_uuid();
    std::int64_t seq = 0;  // counts up within a request
    Timestamp timestamp = system_now();
    AgentEventKind kind{};
    std::optional<std::string> text;
    std::optional<boost::json::object> data;

    static constexpr std::array<std::string_view, 2> defaulted{"request_id", "timestamp"};
};
BOOST_DESCRIBE_STRUCT(AgentEvent, (), (worker_id, request_id, seq, timestamp, kind, text, data))

}  // namespace codegen::contracts
