// Reads the token usage out of a model provider's answer while it passes, best effort: a shape it does not know counts
// nothing and disturbs nothing. Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace codegen::worker_manager {

struct ModelUsage {
    std::int64_t input_tokens = 0;
    std::int64_t output_tokens = 0;
    std::int64_t cache_read_tokens = 0;
    std::int64_t cache_write_tokens = 0;
};

// One answer. Anthropic Messages (`message_start`, `message_delta` events or the whole message) and OpenAI
// (`prompt_tokens`, `input_tokens`; `response.completed` events or the whole object). Later figures replace earlier
// ones.
class UsageReader {
  public:
    explicit UsageReader(bool event_stream) : event_stream_(event_stream) {}
    void feed(std::string_view bytes);
    ModelUsage finish();

  private:
    void line(std::string_view text);
    void document(std::string_view text);

    const bool event_stream_;
    bool given_up_ = false;  // more than kLimit without a line end
    std::string pending_;
    ModelUsage usage_;
};

}  // namespace codegen::worker_manager
