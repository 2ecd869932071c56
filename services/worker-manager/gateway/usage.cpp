#include "services/worker-manager/gateway/usage.hpp"

#include <boost/json.hpp>

namespace codegen::worker_manager {
namespace {

constexpr std::size_t kLimit = 4u << 20;  // bytes of one event, or of one plain answer

void take(const boost::json::object& usage, std::string_view name, std::int64_t& into) {
    if (const auto* value = usage.if_contains(name); value && value->is_int64()) into = value->as_int64();
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
        for (std::size_t end; (end = pending_.find('\n', begin)) != std::string::npos; begin = end + 1)
            line(std::string_view(pending_).substr(begin, end - begin));
        pending_.erase(0, begin);
    }
    if (pending_.size() > kLimit) {
        given_up_ = true;
        pending_ = {};
    }
}

ModelUsage UsageReader::finish() {
    if (!given_up_) event_stream_ ? line(pending_) : document(pending_);
    pending_.clear();
    return usage_;
}

void UsageReader::line(std::string_view text) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (!text.starts_with("data:")) return;
    text.remove_prefix(5);
    // Most events are pieces of text; parsing only those that can hold figures keeps the stream fast.
    if (text.find("usage") != std::string_view::npos) document(text);
}

void UsageReader::document(std::string_view text) {
    boost::system::error_code ec;
    const auto value = boost::json::parse(text, ec);
    const auto* root = ec ? nullptr : value.if_object();
    if (!root) return;
    const auto* holder = child(*root, "message");
    if (!holder) holder = child(*root, "response");
    const auto* usage = child(holder ? *holder : *root, "usage");
    if (!usage) return;
    take(*usage, "input_tokens", usage_.input_tokens);
    take(*usage, "prompt_tokens", usage_.input_tokens);
    take(*usage, "output_tokens", usage_.output_tokens);
    take(*usage, "completion_tokens", usage_.output_tokens);
    take(*usage, "cache_read_input_tokens", usage_.cache_read_tokens);
    take(*usage, "cache_creation_input_tokens", usage_.cache_write_tokens);
}

}  // namespace codegen::worker_manager
