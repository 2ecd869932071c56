#include "shared/http/url.hpp"

#include <fmt/format.h>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>

namespace codegen::http {
namespace {

constexpr std::string_view kUnixPrefix = "http+unix://";

bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::unexpected<Error> bad_url(std::string_view text, std::string_view why) {
    return fail(
        ErrorCategory::permanent, "invalid",
        fmt::format("URL \"{}\": {}; expected http://host[:port][/path], https://... or http+unix:///path", text, why));
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
    if (text.starts_with(kUnixPrefix)) {
        const auto path = text.substr(kUnixPrefix.size());
        if (!path.starts_with('/')) return bad_url(text, "the socket's path is not absolute");
        if (path.find('\0') != std::string_view::npos) return bad_url(text, "NUL in the socket's path");
        return Url{Url::Scheme::unix_socket, {}, 0, std::string(path)};
    }
    const auto parsed = boost::urls::parse_uri({text.data(), text.size()});
    if (!parsed)
        return bad_url(text.contains('@') ? "" : text,
                       "not a URL, expected http:// or https://");  // a password is not repeated
    const auto& view = *parsed;
    if (view.has_userinfo()) return bad_url("", "user and password are not allowed in it");
    if (view.has_query() || view.has_fragment()) return bad_url(text, "query and fragment are not allowed");
    Url url;
    if (view.scheme() == "http")
        url.scheme = Url::Scheme::http;
    else if (view.scheme() == "https")
        url.scheme = Url::Scheme::https;
    else
        return bad_url(text, "unknown scheme");
    const auto host = view.host_address();
    url.host.assign(host.data(), host.size());
    if (url.host.empty()) return bad_url(text, "no host");
    for (const char c : url.host)
        if (static_cast<unsigned char>(c) <= ' ' || c == '/' || c == '\x7f') return bad_url(text, "bad host");
    url.port = url.scheme == Url::Scheme::https ? 443 : 80;
    if (const auto port = view.port(); view.has_port() && !port.empty()) {
        const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
        if (error != std::errc{} || end != port.data() + port.size() || url.port == 0)
            return bad_url(text, "the port is not in 1..65535");
    }
    const std::string_view path(view.encoded_path().data(), view.encoded_path().size());
    if (!path.empty() && !path.starts_with('/')) return bad_url(text, "bad port");  // Boost.URL reads "x:y" so
    url.path = path;
    while (url.path.ends_with('/')) url.path.pop_back();
    return url;
}

bool holds_credentials(std::string_view place) {
    const auto scheme = place.find("://");
    const auto start = scheme == place.npos ? 0 : scheme + 3;
    const auto authority = place.substr(start, place.find_first_of("/?#", start) - start);
    const auto at = authority.rfind('@');
    const auto colon = authority.find(':');
    const bool password = at != authority.npos && colon < at;
    if (scheme == place.npos) return password;
    if (at != authority.npos) return password || !place.substr(0, scheme).ends_with("ssh");
    // "user:pass/word@host": a port is a number.
    const auto port = authority.rfind(':');
    return port != authority.npos && !authority.ends_with(']') &&
           authority.find_first_not_of("0123456789", port + 1) != authority.npos;
}

std::string percent_encode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (is_unreserved(c))
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\0') return std::nullopt;
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_value(text[i + 1]);
        const int low = hex_value(text[i + 2]);
        if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

}  // namespace codegen::http
