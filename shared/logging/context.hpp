// On whose behalf something is done: what every log line then says, and what goes along to whoever is asked next.
// Traces: shared/base/trace.hpp.
#pragma once
#include <memory>
#include <string>
#include <string_view>

namespace codegen::log {

struct Context {
    std::string correlation_id;  // or empty
    std::string traceparent;     // valid, or empty
};
using ContextPtr = std::shared_ptr<const Context>;

// Of what runs on this thread now; nullptr: nobody's. Coroutines: shared/async/log_context.hpp.
const ContextPtr& context();

// From here to its end, on this thread; they nest. Not across a co_await.
class Within {
  public:
    explicit Within(ContextPtr context);
    ~Within();
    Within(const Within&) = delete;

  private:
    ContextPtr before_;
};

// For who comes back out of a coroutine that ran in another one, until the stack of that one unwinds.
void replace_context(ContextPtr context);

// The context for what `traceparent` and `correlation_id` came with: what is not valid is left out. Without a trace a
// new one begins when `begin` is set.
ContextPtr make_context(std::string_view traceparent, std::string_view correlation_id, bool begin = false);

// next_traceparent() of the current context; empty without one.
std::string traceparent_to_send();

}  // namespace codegen::log
