// What a stream entry with a request for a worker says, in the way in which the worker reads it. Pure.
#pragma once
#include <span>
#include <string>
#include <utility>

namespace codegen::contracts {

// The field `data`; without one, the entry's own fields as a JSON object (older writers).
std::string input_text(std::span<const std::pair<std::string, std::string>> fields);

}  // namespace codegen::contracts
