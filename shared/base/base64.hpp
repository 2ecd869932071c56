// Base64 (RFC 4648). No I/O.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace codegen {

std::string base64(std::string_view bytes);
std::string base64url(std::string_view bytes);  // of the URL-safe alphabet, without padding
// Either alphabet, with or without padding; line breaks in it are ignored. nullopt: not base64.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace codegen
