// For stream parsers: fields of a JSON record, leniently, and events from them. What is absent or of another type is
// empty: agents change their streams between versions.
#pragma once
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string_view>

#include "shared/agents/agent_stream.hpp"

namespace codegen::agents {

std::string_view text_of(const boost::json::object& record, std::string_view key);
const boost::json::object* object_of(const boost::json::object& record, std::string_view key);
std::int64_t number_of(const boost::json::object& record, std::string_view key);
bool flag_of(const boost::json::object& record, std::string_view key);

// One line of a stream as an object; nullopt: it is none (a warning of a runtime, say), or was cut.
std::optional<boost::json::object> record_of(std::string_view line, bool cut);

// A text longer than kLongestEventText is cut, which its data then says.
StreamEvent text_event(contracts::AgentEventKind kind, std::string_view text,
                       std::optional<boost::json::object> data = {});
// The input of a tool call, or only its size when it is too long for an event.
void put_input(boost::json::object& data, const boost::json::value& input);
// What one run used, when the program gives the figures of its whole conversation. Nothing rather than a wrong figure:
// not known before, not known now.
std::optional<contracts::AgentUsage> usage_since(const contracts::AgentUsage& total,
                                                 const std::optional<contracts::AgentUsage>& before);
// The event of a final record: `data` and the usage.
StreamEvent usage_event(boost::json::object data, const std::optional<contracts::AgentUsage>& usage);

}  // namespace codegen::agents
