// URLs and percent coding. No I/O.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/result.hpp"

namespace codegen::http {

// http://host[:port][/base], https://..., http+unix:///path/to.sock (the whole rest is the socket's path).
struct Url {
    enum class Scheme { http, https, unix_socket } scheme = Scheme::http;
    std::string host;  // without brackets
    std::uint16_t port = 0;
    std::string path;  // base path without trailing slash, or the socket's path
};
Result<Url> parse_url(std::string_view text);
// Whether a place that git fetches from ("https://...", "ssh://...", "git@host:path", a path) holds a secret in its
// address: a password, or any user where it is not SSH (there a token is often the user). What it holds would be stored
// and logged.
bool holds_credentials(std::string_view place);
std::string percent_encode(std::string_view text);  // for one path segment or query value
// nullopt: a '%' without two hex digits, or a NUL in any form.
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace codegen::http
