// Bytes of strangers made fit for JSON. Pure.
#pragma once
#include <string>
#include <string_view>

namespace codegen {

std::string valid_utf8(std::string_view bytes);  // bad bytes become U+FFFD

}  // namespace codegen
