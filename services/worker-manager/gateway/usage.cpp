#include "services/worker-manager/gateway/usage.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace codegen::worker_manager {
namespace {

constexpr std::size_t kLimit = 4u << 20;   // bytes of one event, or of one plain answer
constexpr std::size_t kDeepest = 512;      // a tool call's arguments nest as deep as the model likes
constexpr std::int64_t kMost = 1ll << 40;  // of one answer: what is more is no figure

void take(const boost::json::object& usage, std::string_view name, std::int64_t& into) {
    if (const auto* value = usage.if_contains(name); value && value->is_int64() && value->get_int64() >= 0)
        into = std::min(value->get_int64(), kMost);
}

const boost::json::object* child(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value ? value->if_object() : nullptr;
}

}  // namespace

void UsageReader::feed(std::string_view bytes) {
    if (given_up_) return;
    pending_ += bytes;
    if (event_stream_) {
        std::size_t begin = 0;
        std::size_t from = pending_.size() - bytes.size();  // before it there is no line end
        for (std::size_t end; (end = pending_.find('\n', from)) != std::string::npos; begin = from = end + 1)
            line(std::string_view(pending_).substr(begin, end - begin));
        pending_.erase(0, begin);
    }
    if (pending_.size() > kLimit) {
        given_up_ = true;
        pending_ = {};
    }
}

void UsageReader::finish() {
    if (!given_up_) event_stream_ ? line(pending_) : document(pending_);
    pending_.clear();
}

void UsageReader::line(std::string_view text) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text == "event: error" || text == "event: response.failed") failed_ = true;
    if (!text.starts_with("data:")) return;
    text.remove_prefix(5);
    // Most events are pieces of text; parsing only those that can hold figures keeps the stream fast.
    if (text.find("\"usage\"") != std::string_view::npos) document(text);
}

void UsageReader::document(std::string_view text) {
    boost::json::parse_options options;
    options.max_depth = kDeepest;
    boost::system::error_code ec;
    const auto value = boost::json::parse(text, ec, {}, options);
    const auto* root = ec ? nullptr : value.if_object();
    if (!root) return;
    const auto* begun = child(*root, "message");  // of message_start: the output is still to come
    const auto* holder = begun ? begun : child(*root, "response");
    const auto* usage = child(holder ? *holder : *root, "usage");
    if (!usage) return;
    if (!begun) complete_ = true;
    take(*usage, "input_tokens", usage_.input_tokens);
    take(*usage, "prompt_tokens", usage_.input_tokens);
    take(*usage, "output_tokens", usage_.output_tokens);
    take(*usage, "completion_tokens", usage_.output_tokens);
    take(*usage, "cache_read_input_tokens", usage_.cache_read_tokens);
    take(*usage, "cache_creation_input_tokens", usage_.cache_write_tokens);
    // OpenAI counts what came from the cache among the input.
    for (const auto* name : {"input_tokens_details", "prompt_tokens_details"})
        if (const auto* details = child(*usage, name)) {
            std::int64_t cached = 0;
            take(*details, "cached_tokens", cached);
            usage_.cache_read_tokens = std::min(cached, usage_.input_tokens);
            usage_.input_tokens -= usage_.cache_read_tokens;
        }
}

}  // namespace codegen::worker_manager
