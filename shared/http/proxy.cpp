#include "shared/http/proxy.hpp"

#include <fmt/format.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <charconv>

#include "shared/base/base64.hpp"
#include "shared/http/message.hpp"

namespace codegen::http {
namespace {

namespace ip = boost::asio::ip;

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

// Host and its port, of "host", "host:80", "[::1]:80" or "::1".
struct Place {
    std::string_view host;
    std::string_view port;  // empty: none
};

Place split_place(std::string_view text) {
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) return {text, {}};
        const auto rest = text.substr(end + 1);
        return {text.substr(1, end - 1), rest.starts_with(':') ? rest.substr(1) : std::string_view()};
    }
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || text.find(':') != colon) return {text, {}};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

std::optional<std::uint16_t> port_of(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

bool is_in_network(std::string_view network, const ip::address& address) {
    boost::system::error_code error;
    if (address.is_v4()) {
        const auto range = ip::make_network_v4(std::string(network), error);
        return !error && (address.to_v4().to_uint() & range.netmask().to_uint()) == range.network().to_uint();
    }
    const auto range = ip::make_network_v6(std::string(network), error);
    if (error) return false;
    const auto wanted = ip::network_v6(address.to_v6(), range.prefix_length()).canonical();
    return wanted.network() == range.canonical().network();
}

bool is_name_below(std::string_view host, std::string_view name) {
    while (name.starts_with('.')) name.remove_prefix(1);
    if (name.empty() || host.size() < name.size() || !same_name(host.substr(host.size() - name.size()), name))
        return false;
    return host.size() == name.size() || host[host.size() - name.size() - 1] == '.';
}

bool goes_directly(const Url& url, std::string_view list) {
    boost::system::error_code not_an_address;
    const auto address = ip::make_address(url.host, not_an_address);
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        const auto entry = trimmed(list.substr(0, comma));
        list.remove_prefix(std::min(comma + 1, list.size()));
        if (entry == "*") return true;
        if (entry.contains('/')) {
            if (!not_an_address && is_in_network(entry, address)) return true;
            continue;
        }
        const auto [host, port] = split_place(entry);
        if (!port.empty() && port_of(port) != url.port) continue;
        if (is_name_below(url.host, host)) return true;
    }
    return false;
}

Result<Proxy> parse_proxy(std::string_view text, std::string_view variable) {
    const auto bad = [&](std::string_view why) {
        return fail(ErrorCategory::fatal, "configuration",
                    fmt::format("{}: {}; expected http://[user:password@]host:port", variable, why));
    };
    Proxy proxy;
    if (const auto scheme = text.find("://"); scheme != std::string_view::npos) {
        if (!same_name(text.substr(0, scheme), "http")) return bad("only http:// proxies can be used");
        text.remove_prefix(scheme + 3);
    }
    text = text.substr(0, text.find('/'));
    if (const auto at = text.rfind('@'); at != std::string_view::npos) {
        const auto login = percent_decode(text.substr(0, at));
        if (!login) return bad("user and password are not percent-encoded");
        proxy.authorization = "Basic " + base64(*login);
        text.remove_prefix(at + 1);
    }
    const auto [host, port] = split_place(text);
    proxy.host = host;
    const auto number = port.empty() ? std::optional<std::uint16_t>(std::uint16_t{1080}) : port_of(port);
    if (proxy.host.empty()) return bad("it names no host");
    if (!number) return bad("the port is not in 1..65535");
    proxy.port = *number;
    return proxy;
}

}  // namespace

std::string Proxy::place() const {
    return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<std::optional<Proxy>> proxy_for(const Url& url, const Environment& environment) {
    // HTTP_PROXY is what a CGI program gets from a request's header Proxy: nobody reads it in capitals.
    const auto names = url.scheme == Url::Scheme::https
                           ? std::initializer_list<const char*>{"https_proxy", "HTTPS_PROXY"}
                           : std::initializer_list<const char*>{"http_proxy"};
    if (url.scheme == Url::Scheme::unix_socket) return std::nullopt;
    for (const char* name : names) {
        const auto value = environment(name);
        if (!value || trimmed(*value).empty()) continue;
        for (const char* exempt : {"no_proxy", "NO_PROXY"})
            if (const auto list = environment(exempt); list && goes_directly(url, *list)) return std::nullopt;
        auto proxy = parse_proxy(trimmed(*value), name);
        if (!proxy) return std::unexpected(proxy.error());
        return std::optional(std::move(*proxy));
    }
    return std::nullopt;
}

}  // namespace codegen::http
