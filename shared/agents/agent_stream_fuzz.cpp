// What agent programs print. The first byte says whose stream it is, the second how it is read; the rest are its lines.
// Every event must be one that can be published: readable again, and not longer than an event may be.
#include <cstdlib>

#include "shared/agents/agent.hpp"
#include "shared/agents/text.hpp"
#include "shared/json/json.hpp"

namespace {

using namespace codegen;
using namespace codegen::agents;

void check(bool good) {
    if (!good) std::abort();
}

void check_event(const StreamEvent& event) {
    contracts::AgentEvent published;
    published.kind = event.kind;
    published.text = event.text;
    published.data = event.data;
    check(json::parse<contracts::AgentEvent>(json::write(published)).has_value());
    check(!event.text || event.text->size() <= kLongestEventText);
}

void read(contracts::AgentType type, bool known_before, bool cut_last, std::string_view text) {
    std::optional<contracts::AgentUsage> before;
    if (known_before) before.emplace().input_tokens = 10;
    const auto stream = agent_of(type).stream(before);
    while (!text.empty()) {
        const auto end = text.find('\n');
        const auto line = valid_utf8(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        for (const auto& event : stream->line(line, cut_last && text.empty())) check_event(event);
    }
    const auto& summary = stream->summary();
    for (const auto& usage : {summary.usage, summary.session_usage})
        if (usage) check(json::parse<contracts::AgentUsage>(json::write(*usage)).has_value());
    if (stream->verdict()) check(json::parse<contracts::AgentVerdict>(json::write(*stream->verdict())).has_value());
    if (summary.final_record) check(summary.final_record->success || summary.final_record->reason);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size < 2) return 0;
    constexpr contracts::AgentType kTypes[] = {contracts::AgentType::claude, contracts::AgentType::factory,
                                               contracts::AgentType::codex, contracts::AgentType::custom};
    read(kTypes[data[0] % 4], (data[1] & 1) != 0, (data[1] & 2) != 0,
         std::string_view(reinterpret_cast<const char*>(data) + 2, size - 2));
    return 0;
}
