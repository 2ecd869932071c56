#include "shared/agents/record.hpp"

#include <boost/json.hpp>

#include "shared/agents/text.hpp"
#include "shared/json/json.hpp"

namespace codegen::agents {

using boost::json::object;

std::string_view text_of(const object& record, std::string_view key) {
    const auto* v = record.if_contains(key);
    return v != nullptr && v->is_string() ? std::string_view(v->get_string()) : std::string_view();
}

const object* object_of(const object& record, std::string_view key) {
    const auto* v = record.if_contains(key);
    return v != nullptr ? v->if_object() : nullptr;
}

std::int64_t number_of(const object& record, std::string_view key) {
    const auto* v = record.if_contains(key);
    if (v == nullptr || !v->is_number()) return 0;
    boost::system::error_code ignored;
    const auto number = v->to_number<std::int64_t>(ignored);
    return ignored ? 0 : number;
}

bool flag_of(const object& record, std::string_view key) {
    const auto* v = record.if_contains(key);
    return v != nullptr && v->is_bool() && v->get_bool();
}

std::optional<object> record_of(std::string_view line, bool cut) {
    if (cut) return std::nullopt;
    auto parsed = json::parse_any(line);
    if (!parsed || !parsed->is_object()) return std::nullopt;
    return std::move(parsed->get_object());
}

StreamEvent text_event(contracts::AgentEventKind kind, std::string_view text, std::optional<object> data) {
    StreamEvent event{kind, shortened(text, kLongestEventText), std::move(data)};
    if (event.text->size() < text.size()) {
        if (!event.data) event.data.emplace();
        (*event.data)["truncated"] = true;
        (*event.data)["bytes"] = text.size();
    }
    return event;
}

void put_input(object& data, const boost::json::value& input) {
    if (const auto size = boost::json::serialize(input).size(); size <= kLongestEventText) {
        data["input"] = input;
    } else {
        data["input_bytes"] = size;
    }
}

std::optional<contracts::AgentUsage> usage_since(const contracts::AgentUsage& total,
                                                 const std::optional<contracts::AgentUsage>& before) {
    if (!before || total.input_tokens < before->input_tokens || total.output_tokens < before->output_tokens)
        return std::nullopt;
    contracts::AgentUsage out = total;
    out.input_tokens -= before->input_tokens;
    out.output_tokens -= before->output_tokens;
    out.cache_read_tokens -= before->cache_read_tokens;
    out.cache_write_tokens -= before->cache_write_tokens;
    out.turns -= before->turns;
    return out;
}

StreamEvent usage_event(object data, const std::optional<contracts::AgentUsage>& usage) {
    if (usage) {
        object figures = json::to_value(*usage).as_object();
        for (auto& [key, v] : figures) data[key] = v;
    }
    return {contracts::AgentEventKind::usage, std::nullopt, std::move(data)};
}

}  // namespace codegen::agents
