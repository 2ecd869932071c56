// Identifiers and secrets from the kernel's random source. Thread-safe.
#pragma once
#include <string>
#include <string_view>

namespace codegen {

std::string new_uuid();                            // UUID v4, lower case, with dashes
bool is_uuid(std::string_view text);               // any version, either case
std::string random_token(std::size_t bytes = 32);  // lower-case hex, 2 characters a byte
// `config.name`, worker ids: [a-z0-9][a-z0-9._-]{0,62}
bool is_worker_name(std::string_view text);

}  // namespace codegen
