#include <boost/json.hpp>

#include "shared/agents/factory/factory.hpp"
#include "shared/agents/record.hpp"
#include "shared/agents/text.hpp"

namespace codegen::agents {
namespace {

using boost::json::object;
using contracts::AgentEventKind;
using contracts::FailureReason;

// `exec -o stream-json`, as seen with droid 0.215.0 (docs: agents).
class FactoryStream final : public AgentStream {
  public:
    explicit FactoryStream(std::optional<contracts::AgentUsage> before) : before_(std::move(before)) {}
    bool final_record_expected() const override { return true; }

    std::vector<StreamEvent> line(std::string_view text, bool cut) override {
        events_.clear();
        if (text.empty()) return {};
        const auto record = record_of(text, cut);
        if (!record) {
            events_.push_back(text_event(AgentEventKind::stderr_, text));
            return std::move(events_);
        }
        const auto type = text_of(*record, "type");
        if (type == "system") started(*record);
        if (type == "message" && text_of(*record, "role") == "assistant") said(*record);
        if (type == "reasoning") events_.push_back(text_event(AgentEventKind::thinking, text_of(*record, "text")));
        if (type == "tool_call") called(*record);
        if (type == "tool_result") answered(*record);
        if (type == "completion") completed(*record);
        if (type == "error") failed(*record);
        return std::move(events_);
    }

  private:
    void started(const object& record) {
        const auto id = text_of(record, "session_id");
        if (!id.empty()) summary_.session_id = std::string(id);
        events_.push_back({AgentEventKind::status, std::nullopt,
                           object{{"subtype", text_of(record, "subtype")}, {"session_id", id}}});
    }

    void said(const object& record) {
        const auto text = text_of(record, "text");
        if (text.empty()) return;
        finder_.feed(text);
        finder_.feed("\n");
        summary_.last_text = shortened(text, kLongestEventText);
        events_.push_back(text_event(AgentEventKind::text, text));
    }

    void called(const object& record) {
        const auto name = text_of(record, "toolName");
        object data{{"id", text_of(record, "id")}, {"name", name}};
        if (const auto* input = record.if_contains("parameters")) put_input(data, *input);
        events_.push_back({AgentEventKind::tool_call, std::string(name), std::move(data)});
    }

    void answered(const object& record) {
        object data{{"tool_use_id", text_of(record, "id")}, {"is_error", flag_of(record, "isError")}};
        std::string text(text_of(record, "value"));
        if (const auto* value = record.if_contains("value"); value && value->is_structured())
            text = boost::json::serialize(*value);
        if (const object* error = object_of(record, "error")) text += text_of(*error, "message");
        events_.push_back(text_event(AgentEventKind::tool_result, text, std::move(data)));
    }

    void completed(const object& record) {
        summary_.final_record = FinalRecord{.success = true, .reason = {}, .error = {}};
        const auto text = text_of(record, "finalText");
        if (!text.empty()) {
            if (summary_.last_text.empty()) summary_.last_text = shortened(text, kLongestEventText);
            finder_.feed(text);
        }
        if (const object* usage = object_of(record, "usage")) {
            contracts::AgentUsage total;
            total.input_tokens = number_of(*usage, "input_tokens");
            total.output_tokens = number_of(*usage, "output_tokens");
            total.cache_read_tokens = number_of(*usage, "cache_read_input_tokens");
            total.cache_write_tokens = number_of(*usage, "cache_creation_input_tokens");
            total.turns = number_of(record, "numTurns");
            summary_.session_usage = total;
            summary_.usage = usage_since(total, before_);
        }
        events_.push_back(usage_event(object{{"subtype", "success"}, {"is_error", false}}, summary_.usage));
    }

    // The first one says why; "cli" adds that it ends. What tools do wrong is no error of this kind.
    void failed(const object& record) {
        const auto message = text_of(record, "message");
        const auto source = text_of(record, "source");
        events_.push_back(
            text_event(AgentEventKind::status, message, object{{"subtype", "error"}, {"source", source}}));
        if (summary_.final_record && !summary_.final_record->success) return;
        const bool of_model = source == "agent_loop";
        summary_.final_record =
            FinalRecord{.success = false,
                        .reason = of_model ? FailureReason::provider_error : FailureReason::agent_failure,
                        .error = (of_model ? "the model provider failed: " : "the agent ended with an error: ") +
                                 shortened(message, 500)};
    }

    const std::optional<contracts::AgentUsage> before_;
    std::vector<StreamEvent> events_;
};

}  // namespace

std::unique_ptr<AgentStream> Factory::stream(std::optional<contracts::AgentUsage> before) const {
    return std::make_unique<FactoryStream>(std::move(before));
}

}  // namespace codegen::agents
