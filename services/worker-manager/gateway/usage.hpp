// Reads the token usage out of a model provider's answer while it passes: a shape it does not know counts nothing and
// disturbs nothing. Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace codegen::worker_manager {

// `input_tokens` are those that were not read from the provider's cache.
struct ModelUsage {
    std::int64_t input_tokens = 0;
    std::int64_t output_tokens = 0;
    std::int64_t cache_read_tokens = 0;
    std::int64_t cache_write_tokens = 0;

    friend bool operator==(const ModelUsage&, const ModelUsage&) = default;
    std::int64_t total() const { return input_tokens + output_tokens + cache_read_tokens + cache_write_tokens; }
    friend ModelUsage operator-(const ModelUsage& a, const ModelUsage& b) {
        return {a.input_tokens - b.input_tokens, a.output_tokens - b.output_tokens,
                a.cache_read_tokens - b.cache_read_tokens, a.cache_write_tokens - b.cache_write_tokens};
    }
};

// One answer. Anthropic Messages (`message_start`, `message_delta` events or the whole message), OpenAI responses
// (`response.completed` event or the whole object) and chat completions (a chunk with `usage`, or the whole object).
// Later figures replace earlier ones.
class UsageReader {
  public:
    explicit UsageReader(bool event_stream) : event_stream_(event_stream) {}
    void feed(std::string_view bytes);
    void finish();  // no more bytes

    const ModelUsage& usage() const { return usage_; }  // so far
    // The provider's last word on this answer was read. Without it the answer was cut, or has an unknown shape.
    bool complete() const { return complete_; }
    // The stream itself says that the provider failed in the middle of it.
    bool failed() const { return failed_; }

  private:
    void line(std::string_view text);
    void document(std::string_view text);

    const bool event_stream_;
    bool given_up_ = false;  // more than kLimit without a line end
    bool complete_ = false;
    bool failed_ = false;
    std::string pending_;
    ModelUsage usage_;
};

}  // namespace codegen::worker_manager
