#include "shared/testing/model_answers.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <vector>

#include "shared/base/ids.hpp"

namespace codegen::testing {
namespace {

using boost::json::array;
using boost::json::object;
using Block = ModelTurn::Block;

// Error types of the Messages API by status (docs.anthropic.com, "Errors").
std::string_view anthropic_error(unsigned status) {
    switch (status) {
        case 401:
            return "authentication_error";
        case 403:
            return "permission_error";
        case 404:
            return "not_found_error";
        case 413:
            return "request_too_large";
        case 429:
            return "rate_limit_error";
        case 529:
            return "overloaded_error";
        default:
            return status < 500 ? "invalid_request_error" : "api_error";
    }
}

std::string_view openai_error(unsigned status) {
    if (status == 401) return "authentication_error";
    if (status == 429) return "rate_limit_exceeded";
    return status < 500 ? "invalid_request_error" : "server_error";
}

bool calls_tools(const ModelTurn& turn) {
    return std::ranges::any_of(turn.blocks, [](const Block& b) { return b.tool.has_value(); });
}

std::string arguments_of(const Block& block) { return boost::json::serialize(block.input); }

// A text in two pieces, so that a reader must join them; not within a UTF-8 character.
std::vector<std::string> pieces_of(const std::string& text) {
    std::size_t middle = text.size() / 2;
    while (middle < text.size() && (static_cast<unsigned char>(text[middle]) & 0xc0) == 0x80) ++middle;
    std::vector<std::string> out;
    for (auto& piece : {text.substr(0, middle), text.substr(middle)})
        if (!piece.empty()) out.push_back(piece);
    return out;
}

class MessagesAnswer final : public ModelAnswer {
  public:
    MessagesAnswer(std::string model, ModelTurn turn) : model_(std::move(model)), turn_(std::move(turn)) {}

    object whole() override {
        auto message = head();
        for (const auto& block : turn_.blocks) message["content"].as_array().push_back(content(block, false));
        message["stop_reason"] = stop_reason();
        message["usage"] = usage(turn_.output_tokens);
        return message;
    }
    std::string start() override { return event("message_start", {{"message", head()}}) + event("ping", {}); }
    std::string block(std::size_t index) override {
        const Block& block = turn_.blocks[index];
        std::string out = event("content_block_start", {{"index", index}, {"content_block", content(block, true)}});
        for (const auto& piece : pieces_of(block.tool ? arguments_of(block) : block.text))
            out += event("content_block_delta",
                         {{"index", index},
                          {"delta", block.tool ? object{{"type", "input_json_delta"}, {"partial_json", piece}}
                                               : object{{"type", "text_delta"}, {"text", piece}}}});
        return out + event("content_block_stop", {{"index", index}});
    }
    std::string end() override {
        return event("message_delta", {{"delta", object{{"stop_reason", stop_reason()}, {"stop_sequence", nullptr}}},
                                       {"usage", usage(turn_.output_tokens)}}) +
               event("message_stop", {});
    }

  private:
    static std::string event(std::string_view name, object data) {
        data["type"] = name;
        return "event: " + std::string(name) + "\ndata: " + boost::json::serialize(data) + "\n\n";
    }
    std::string_view stop_reason() const { return calls_tools(turn_) ? "tool_use" : "end_turn"; }
    object usage(std::int64_t output_tokens) const {
        return {{"input_tokens", turn_.input_tokens},
                {"cache_creation_input_tokens", turn_.cache_write_tokens},
                {"cache_read_input_tokens", turn_.cache_read_tokens},
                {"output_tokens", output_tokens},
                {"service_tier", "standard"}};
    }
    object head() const {
        return {{"id", id_},          {"type", "message"},      {"role", "assistant"},      {"model", model_},
                {"content", array{}}, {"stop_reason", nullptr}, {"stop_sequence", nullptr}, {"usage", usage(1)}};
    }
    static object content(const Block& block, bool empty) {
        if (!block.tool) return {{"type", "text"}, {"text", empty ? std::string{} : block.text}};
        return {{"type", "tool_use"},
                {"id", "toolu_" + random_token(12)},
                {"name", *block.tool},
                {"input", empty ? object{} : block.input}};
    }

    const std::string model_;
    const ModelTurn turn_;
    const std::string id_ = "msg_" + random_token(12);
};

// OpenAI counts what came from its cache as input too.
std::int64_t all_input(const ModelTurn& turn) {
    return turn.input_tokens + turn.cache_read_tokens + turn.cache_write_tokens;
}

class ResponsesAnswer final : public ModelAnswer {
  public:
    ResponsesAnswer(std::string model, ModelTurn turn) : model_(std::move(model)), turn_(std::move(turn)) {
        for (const auto& block : turn_.blocks) items_.push_back(item(block));
    }

    object whole() override { return response(true); }
    std::string start() override { return event("response.created", {{"response", response(false)}}); }
    std::string block(std::size_t index) override {
        const Block& block = turn_.blocks[index];
        const object& item = items_[index].as_object();
        const auto at = [&](object more) {
            more["output_index"] = index;
            more["item_id"] = item.at("id");
            if (!block.tool) more["content_index"] = 0;
            return more;
        };
        object begun = item;
        begun["status"] = "in_progress";
        const std::string kind = !block.tool      ? "output_text"
                                 : block.freeform ? "custom_tool_call_input"
                                                  : "function_call_arguments";
        const std::string text = !block.tool || block.freeform ? block.text : arguments_of(block);
        if (!block.tool) {
            begun["content"] = array{};
        } else {
            begun[block.freeform ? "input" : "arguments"] = "";
        }
        std::string out = event("response.output_item.added", {{"output_index", index}, {"item", begun}});
        if (!block.tool)
            out += event("response.content_part.added",
                         at({{"part", object{{"type", "output_text"}, {"text", ""}, {"annotations", array{}}}}}));
        for (const auto& piece : pieces_of(text)) out += event("response." + kind + ".delta", at({{"delta", piece}}));
        const char* whole = !block.tool ? "text" : block.freeform ? "input" : "arguments";
        out += event("response." + kind + ".done", at({{whole, text}}));
        if (!block.tool)
            out += event("response.content_part.done", at({{"part", item.at("content").as_array().at(0)}}));
        return out + event("response.output_item.done", {{"output_index", index}, {"item", item}});
    }
    std::string end() override { return event("response.completed", {{"response", response(true)}}); }

  private:
    std::string event(const std::string& name, object data) {
        data["type"] = name;
        data["sequence_number"] = sequence_++;
        return "event: " + name + "\ndata: " + boost::json::serialize(data) + "\n\n";
    }
    object response(bool done) const {
        return {{"id", id_},
                {"object", "response"},
                {"created_at", 1700000000},
                {"model", model_},
                {"status", done ? "completed" : "in_progress"},
                {"output", done ? items_ : array{}},
                {"usage", done ? boost::json::value(usage()) : boost::json::value(nullptr)}};
    }
    object usage() const {
        return {{"input_tokens", all_input(turn_)},
                {"input_tokens_details", object{{"cached_tokens", turn_.cache_read_tokens}}},
                {"output_tokens", turn_.output_tokens},
                {"output_tokens_details", object{{"reasoning_tokens", 0}}},
                {"total_tokens", all_input(turn_) + turn_.output_tokens}};
    }
    static object item(const Block& block) {
        if (!block.tool)
            return {
                {"id", "msg_" + random_token(12)},
                {"type", "message"},
                {"role", "assistant"},
                {"status", "completed"},
                {"content", array{object{{"type", "output_text"}, {"text", block.text}, {"annotations", array{}}}}}};
        object call{{"id", "fc_" + random_token(12)},
                    {"type", block.freeform ? "custom_tool_call" : "function_call"},
                    {"status", "completed"},
                    {"call_id", "call_" + random_token(12)},
                    {"name", *block.tool}};
        if (block.freeform) {
            call["input"] = block.text;
        } else {
            call["arguments"] = arguments_of(block);
        }
        return call;
    }

    const std::string model_;
    const ModelTurn turn_;
    const std::string id_ = "resp_" + random_token(12);
    array items_;
    int sequence_ = 0;
};

class ChatAnswer final : public ModelAnswer {
  public:
    ChatAnswer(std::string model, ModelTurn turn) : model_(std::move(model)), turn_(std::move(turn)) {}

    object whole() override {
        std::string text;
        array calls;
        for (const auto& block : turn_.blocks) {
            if (block.tool) {
                calls.push_back(call(block));
            } else {
                text += block.text;
            }
        }
        object message{{"role", "assistant"}, {"content", text}};
        if (!calls.empty()) message["tool_calls"] = calls;
        return {{"id", id_},
                {"object", "chat.completion"},
                {"created", 1700000000},
                {"model", model_},
                {"choices", array{object{{"index", 0}, {"message", message}, {"finish_reason", finish_reason()}}}},
                {"usage", usage()}};
    }
    std::string start() override { return chunk({{"role", "assistant"}, {"content", ""}}, nullptr); }
    std::string block(std::size_t index) override {
        const Block& block = turn_.blocks[index];
        std::string out;
        if (!block.tool) {
            for (const auto& piece : pieces_of(block.text)) out += chunk({{"content", piece}}, nullptr);
            return out;
        }
        object begun = call(block);
        begun["index"] = calls_;
        begun["function"].as_object()["arguments"] = "";
        out += chunk({{"tool_calls", array{begun}}}, nullptr);
        for (const auto& piece : pieces_of(arguments_of(block)))
            out += chunk({{"tool_calls", array{object{{"index", calls_}, {"function", object{{"arguments", piece}}}}}}},
                         nullptr);
        ++calls_;
        return out;
    }
    std::string end() override {
        auto last = head();
        last["choices"] = array{};
        last["usage"] = usage();
        return chunk({}, boost::json::value(finish_reason())) + "data: " + boost::json::serialize(last) +
               "\n\ndata: [DONE]\n\n";
    }

  private:
    object head() const {
        return {{"id", id_}, {"object", "chat.completion.chunk"}, {"created", 1700000000}, {"model", model_}};
    }
    std::string chunk(object delta, boost::json::value finish) const {
        auto out = head();
        out["choices"] = array{object{{"index", 0}, {"delta", delta}, {"finish_reason", finish}}};
        return "data: " + boost::json::serialize(out) + "\n\n";
    }
    std::string_view finish_reason() const { return calls_tools(turn_) ? "tool_calls" : "stop"; }
    static object call(const Block& block) {
        return {{"id", "call_" + random_token(12)},
                {"type", "function"},
                {"function", object{{"name", *block.tool}, {"arguments", arguments_of(block)}}}};
    }
    object usage() const {
        return {{"prompt_tokens", all_input(turn_)},
                {"prompt_tokens_details", object{{"cached_tokens", turn_.cache_read_tokens}}},
                {"completion_tokens", turn_.output_tokens},
                {"total_tokens", all_input(turn_) + turn_.output_tokens}};
    }

    const std::string model_;
    const ModelTurn turn_;
    const std::string id_ = "chatcmpl-" + random_token(12);
    int calls_ = 0;
};

}  // namespace

std::optional<ModelApi> model_api(std::string_view path) {
    if (path == "/v1/messages") return ModelApi::messages;
    if (path == "/v1/responses") return ModelApi::responses;
    if (path == "/v1/chat/completions") return ModelApi::chat;
    return std::nullopt;
}

bool offers_tools(ModelApi api, const object& body) {
    const auto* tools = body.if_contains("tools");
    if (tools && tools->is_array() && !tools->as_array().empty()) return true;
    // codex names the tools of some models in the conversation.
    const auto* input = api == ModelApi::responses ? body.if_contains("input") : nullptr;
    return input && input->is_array() && std::ranges::any_of(input->as_array(), [](const boost::json::value& item) {
               const auto* fields = item.if_object();
               const auto* type = fields ? fields->if_contains("type") : nullptr;
               return type && type->is_string() && type->as_string() == "additional_tools";
           });
}

object error_document(ModelApi api, unsigned status, const std::string& message) {
    if (api == ModelApi::messages)
        return {{"type", "error"}, {"error", object{{"type", anthropic_error(status)}, {"message", message}}}};
    return {
        {"error", object{{"type", openai_error(status)}, {"message", message}, {"param", nullptr}, {"code", nullptr}}}};
}

std::unique_ptr<ModelAnswer> make_answer(ModelApi api, std::string model, ModelTurn turn) {
    switch (api) {
        case ModelApi::responses:
            return std::make_unique<ResponsesAnswer>(std::move(model), std::move(turn));
        case ModelApi::chat:
            return std::make_unique<ChatAnswer>(std::move(model), std::move(turn));
        case ModelApi::messages:
            break;
    }
    return std::make_unique<MessagesAnswer>(std::move(model), std::move(turn));
}

}  // namespace codegen::testing
