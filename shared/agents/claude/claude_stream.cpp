#include <boost/json.hpp>

#include "shared/agents/claude/claude.hpp"
#include "shared/agents/record.hpp"
#include "shared/agents/text.hpp"

namespace codegen::agents {
namespace {

using boost::json::object;
using contracts::AgentEventKind;
using contracts::FailureReason;

// `--output-format stream-json`, as seen with claude 2.1.197 and 2.1.330 (docs: agents).
class ClaudeStream final : public AgentStream {
  public:
    bool final_record_expected() const override { return true; }

    std::vector<StreamEvent> line(std::string_view text, bool cut) override {
        events_.clear();
        if (text.empty()) return {};
        const auto record = record_of(text, cut);
        if (!record) {
            // Not of the stream: a warning of its runtime, say. Never the agent's own text.
            events_.push_back(text_event(AgentEventKind::stderr_, text));
            return std::move(events_);
        }
        const auto type = text_of(*record, "type");
        if (type == "system") system(*record);
        if (type == "assistant") assistant(*record);
        if (type == "user") user(*record);
        if (type == "result") result(*record);
        return std::move(events_);
    }

  private:
    void system(const object& record) {
        const auto subtype = text_of(record, "subtype");
        object data{{"subtype", subtype}};
        if (subtype == "init") {
            model_ = text_of(record, "model");
            if (auto id = text_of(record, "session_id"); !id.empty()) summary_.session_id = std::string(id);
            data["model"] = model_;
            data["session_id"] = text_of(record, "session_id");
        } else if (subtype == "api_retry") {
            for (std::string_view key : {"attempt", "max_retries", "retry_delay_ms", "error_status", "error"})
                if (const auto* v = record.if_contains(key)) data[key] = *v;
            const auto status = number_of(record, "error_status");
            summary_.provider_trouble =
                "the model provider answered " + (status == 0 ? "nothing" : std::to_string(status));
        }
        events_.push_back({AgentEventKind::status, std::nullopt, std::move(data)});
    }

    void assistant(const object& record) {
        const object* message = object_of(record, "message");
        if (message == nullptr) return;
        const bool own = text_of(record, "parent_tool_use_id").empty();  // else a sub-agent speaks
        summary_.provider_trouble.reset();
        add_usage(*message);
        const auto* content = message->if_contains("content");
        if (content == nullptr || !content->is_array()) return;
        for (const auto& item : content->get_array()) {
            const object* block = item.if_object();
            if (block == nullptr) continue;
            const auto type = text_of(*block, "type");
            if (type == "text") {
                const auto text = text_of(*block, "text");
                if (own && !text.empty()) {
                    finder_.feed(text);
                    finder_.feed("\n");
                    summary_.last_text = shortened(text, kLongestEventText);
                }
                std::optional<object> data;
                if (!own) data = object{{"sub_agent", true}};
                events_.push_back(text_event(AgentEventKind::text, text, std::move(data)));
            } else if (type == "thinking") {
                events_.push_back(text_event(AgentEventKind::thinking, text_of(*block, "thinking")));
            } else if (type == "tool_use") {
                object data{{"id", text_of(*block, "id")}, {"name", text_of(*block, "name")}};
                if (const auto* input = block->if_contains("input")) put_input(data, *input);
                events_.push_back({AgentEventKind::tool_call, std::string(text_of(*block, "name")), std::move(data)});
            }
        }
    }

    void user(const object& record) {
        const object* message = object_of(record, "message");
        const auto* content = message != nullptr ? message->if_contains("content") : nullptr;
        if (content == nullptr || !content->is_array()) return;
        for (const auto& item : content->get_array()) {
            const object* block = item.if_object();
            if (block == nullptr || text_of(*block, "type") != "tool_result") continue;
            object data{{"tool_use_id", text_of(*block, "tool_use_id")}, {"is_error", flag_of(*block, "is_error")}};
            std::string text;
            if (const auto* inner = block->if_contains("content"); inner != nullptr && inner->is_string()) {
                text = std::string(inner->get_string());
            } else if (inner != nullptr && inner->is_array()) {
                for (const auto& part : inner->get_array())
                    if (const object* o = part.if_object(); o != nullptr && text_of(*o, "type") == "text")
                        text += std::string(text_of(*o, "text")) + "\n";
            }
            events_.push_back(text_event(AgentEventKind::tool_result, text, std::move(data)));
        }
    }

    // One message comes as several records that repeat its usage.
    void add_usage(const object& message) {
        const object* usage = object_of(message, "usage");
        if (usage == nullptr) return;
        contracts::AgentUsage now = read_usage(*usage);
        if (const auto id = text_of(message, "id"); id != message_id_) {
            add(before_, current_);
            message_id_ = std::string(id);
            ++turns_;
        }
        current_ = now;
        contracts::AgentUsage total = before_;
        add(total, current_);
        total.turns = turns_;
        if (!model_.empty()) total.model = model_;
        summary_.usage = total;
    }

    static contracts::AgentUsage read_usage(const object& usage) {
        contracts::AgentUsage out;
        out.input_tokens = number_of(usage, "input_tokens");
        out.output_tokens = number_of(usage, "output_tokens");
        out.cache_read_tokens = number_of(usage, "cache_read_input_tokens");
        out.cache_write_tokens = number_of(usage, "cache_creation_input_tokens");
        return out;
    }

    static void add(contracts::AgentUsage& to, const contracts::AgentUsage& from) {
        to.input_tokens += from.input_tokens;
        to.output_tokens += from.output_tokens;
        to.cache_read_tokens += from.cache_read_tokens;
        to.cache_write_tokens += from.cache_write_tokens;
    }

    void result(const object& record) {
        FinalRecord final_record;
        const auto subtype = text_of(record, "subtype");
        const auto text = text_of(record, "result");
        const auto status = number_of(record, "api_error_status");
        final_record.success = subtype == "success" && !flag_of(record, "is_error");
        if (!final_record.success) {
            if (subtype == "error_max_budget_usd") {
                final_record.reason = FailureReason::budget;
                final_record.error = "the budget of the run is spent";
            } else if (status != 0 || (subtype == "success" && flag_of(record, "is_error"))) {
                final_record.reason = FailureReason::provider_error;
                final_record.error =
                    status != 0 ? "the model provider answered " + std::to_string(status) : "the model provider failed";
            } else {
                final_record.reason = FailureReason::agent_failure;
                final_record.error = "the agent ended with " + std::string(subtype.empty() ? "no reason" : subtype);
            }
            if (!text.empty()) final_record.error += ": " + shortened(text, 500);
        } else if (!text.empty()) {
            if (summary_.last_text.empty()) summary_.last_text = shortened(text, kLongestEventText);
            finder_.feed(text);
        }
        summary_.final_record = final_record;
        if (auto id = text_of(record, "session_id"); !id.empty()) summary_.session_id = std::string(id);
        if (const object* usage = object_of(record, "usage")) {
            contracts::AgentUsage total = read_usage(*usage);
            total.turns = number_of(record, "num_turns");
            if (!model_.empty()) total.model = model_;
            if (const auto* cost = record.if_contains("total_cost_usd"); cost != nullptr && cost->is_number()) {
                boost::system::error_code ignored;
                total.cost_usd = cost->to_number<double>(ignored);
            }
            summary_.usage = total;
        }
        object data{{"subtype", subtype}, {"is_error", flag_of(record, "is_error")}};
        if (const auto* denials = record.if_contains("permission_denials");
            denials != nullptr && denials->is_array() && !denials->get_array().empty())
            data["permission_denials"] = *denials;
        events_.push_back(usage_event(std::move(data), summary_.usage));
    }

    std::vector<StreamEvent> events_;
    std::string model_;
    std::string message_id_;
    contracts::AgentUsage before_;
    contracts::AgentUsage current_;
    std::int64_t turns_ = 0;
};

}  // namespace

// Its figures are those of one run, also of a resumed conversation.
std::unique_ptr<AgentStream> Claude::stream(std::optional<contracts::AgentUsage>) const {
    return std::make_unique<ClaudeStream>();
}

}  // namespace codegen::agents
