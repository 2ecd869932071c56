#include <boost/json.hpp>

#include "shared/agents/codex/codex.hpp"
#include "shared/agents/record.hpp"
#include "shared/agents/text.hpp"

namespace codegen::agents {
namespace {

using boost::json::object;
using contracts::AgentEventKind;
using contracts::FailureReason;

// `exec --json`, as seen with codex 0.169.0 (docs: agents).
class CodexStream final : public AgentStream {
  public:
    explicit CodexStream(std::optional<contracts::AgentUsage> before) : before_(std::move(before)) {}
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
        const object* item = object_of(*record, "item");
        if (type == "thread.started") started(*record);
        if (type == "item.started" && item != nullptr) item_started(*item);
        if (type == "item.completed" && item != nullptr) item_completed(*item);
        if (type == "error") trouble(text_of(*record, "message"));
        if (type == "turn.completed") completed(*record);
        if (type == "turn.failed") failed(*record);
        return std::move(events_);
    }

  private:
    void started(const object& record) {
        const auto id = text_of(record, "thread_id");
        if (!id.empty()) summary_.session_id = std::string(id);
        events_.push_back({AgentEventKind::status, std::nullopt, object{{"subtype", "init"}, {"session_id", id}}});
    }

    // Everything that is not its own words is a tool: a command, an edit, a search, one of an MCP server.
    static bool is_tool(std::string_view type) {
        return type != "agent_message" && type != "reasoning" && type != "error" && type != "todo_list";
    }

    void call(const object& item) {
        const auto type = text_of(item, "type");
        called_ = std::string(text_of(item, "id"));
        object data{{"id", called_}, {"name", type}};
        object input;
        for (const auto& field : item)
            if (const auto key = field.key(); key != "id" && key != "type" && key != "status" && key != "exit_code" &&
                                              key != "aggregated_output" && key != "result" && key != "error")
                input[key] = field.value();
        put_input(data, input);
        events_.push_back({AgentEventKind::tool_call, std::string(type), std::move(data)});
    }

    void item_started(const object& item) {
        if (is_tool(text_of(item, "type"))) call(item);
    }

    void item_completed(const object& item) {
        const auto type = text_of(item, "type");
        if (type == "error") return trouble(text_of(item, "message"));
        summary_.provider_trouble.reset();
        if (type == "agent_message") {
            const auto text = text_of(item, "text");
            finder_.feed(text);
            finder_.feed("\n");
            if (!text.empty()) summary_.last_text = shortened(text, kLongestEventText);
            events_.push_back(text_event(AgentEventKind::text, text));
        } else if (type == "reasoning") {
            events_.push_back(text_event(AgentEventKind::thinking, text_of(item, "text")));
        } else if (is_tool(type)) {
            if (called_ != text_of(item, "id")) call(item);  // some are told only when they are done
            const auto* code = item.if_contains("exit_code");
            const bool bad = text_of(item, "status") == "failed" || (code && code->is_int64() && code->as_int64() != 0);
            object data{{"tool_use_id", text_of(item, "id")}, {"is_error", bad}};
            if (code && code->is_int64()) data["exit_code"] = *code;
            std::string text(text_of(item, "aggregated_output"));
            if (const auto* result = item.if_contains("result"); result && !result->is_null())
                text += boost::json::serialize(*result);
            if (const object* error = object_of(item, "error")) text += text_of(*error, "message");
            events_.push_back(text_event(AgentEventKind::tool_result, text, std::move(data)));
        }
    }

    void trouble(std::string_view message) {
        summary_.provider_trouble = "the model provider failed: " + shortened(message, 500);
        events_.push_back(text_event(AgentEventKind::status, message, object{{"subtype", "error"}}));
    }

    void completed(const object& record) {
        summary_.final_record = FinalRecord{.success = true, .reason = {}, .error = {}};
        if (const object* usage = object_of(record, "usage")) {
            contracts::AgentUsage total;
            // What came from the cache is counted as input too.
            total.cache_read_tokens = number_of(*usage, "cached_input_tokens");
            total.cache_write_tokens = number_of(*usage, "cache_write_input_tokens");
            total.input_tokens = number_of(*usage, "input_tokens") - total.cache_read_tokens;
            total.output_tokens = number_of(*usage, "output_tokens");
            total.turns = before_ ? before_->turns + 1 : 1;
            summary_.session_usage = total;
            summary_.usage = usage_since(total, before_);
        }
        events_.push_back(usage_event(object{{"subtype", "success"}, {"is_error", false}}, summary_.usage));
    }

    // A turn fails when its model requests do: what tools do wrong goes to the model.
    void failed(const object& record) {
        const object* error = object_of(record, "error");
        const auto message = error != nullptr ? text_of(*error, "message") : std::string_view();
        summary_.final_record = FinalRecord{.success = false,
                                            .reason = FailureReason::provider_error,
                                            .error = "the model provider failed: " + shortened(message, 500)};
        events_.push_back(usage_event(object{{"subtype", "error"}, {"is_error", true}}, summary_.usage));
    }

    const std::optional<contracts::AgentUsage> before_;
    std::vector<StreamEvent> events_;
    std::string called_;
};

}  // namespace

std::unique_ptr<AgentStream> Codex::stream(std::optional<contracts::AgentUsage> before) const {
    return std::make_unique<CodexStream>(std::move(before));
}

}  // namespace codegen::agents
