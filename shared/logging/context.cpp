#include "shared/logging/context.hpp"

#include <utility>

#include "shared/base/trace.hpp"

namespace codegen::log {
namespace {

thread_local ContextPtr current;

}  // namespace

const ContextPtr& context() { return current; }

Within::Within(ContextPtr context) : before_(std::exchange(current, std::move(context))) {}
Within::~Within() { current = std::move(before_); }

void replace_context(ContextPtr context) { current = std::move(context); }

ContextPtr make_context(std::string_view traceparent, std::string_view correlation_id, bool begin) {
    Context out;
    if (is_traceparent(traceparent))
        out.traceparent = traceparent;
    else if (begin)
        out.traceparent = new_traceparent();
    if (is_correlation_id(correlation_id)) out.correlation_id = correlation_id;
    if (out.traceparent.empty() && out.correlation_id.empty()) return nullptr;
    return std::make_shared<const Context>(std::move(out));
}

std::string traceparent_to_send() { return current ? next_traceparent(current->traceparent) : std::string(); }

}  // namespace codegen::log
