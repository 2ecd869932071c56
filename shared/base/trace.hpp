// W3C Trace Context (https://www.w3.org/TR/trace-context/), the header `traceparent`, and correlation ids. Pure.
#pragma once
#include <string>
#include <string_view>

namespace codegen {

bool is_correlation_id(std::string_view text);  // 1 to 128 letters, digits, - _ . :
bool is_traceparent(std::string_view text);     // any version but ff; ids that are not all zero
std::string new_traceparent();                  // a trace of its own, sampled
// What is told to the next: the same trace, a new parent id. Empty for an invalid one.
std::string next_traceparent(std::string_view traceparent);
std::string_view trace_id_of(std::string_view traceparent);  // 32 hex digits; empty for an invalid one

}  // namespace codegen
