#include <fmt/format.h>

#include <boost/url.hpp>
#include <charconv>

#include "shared/redis/client.hpp"

namespace codegen::redis {
namespace {

std::unexpected<Error> bad(std::string_view url, std::string_view why) {
    // The user information may hold a password; nothing before the @ is repeated.
    const auto scheme = url.find("://");
    const auto at = url.rfind('@');
    std::string shown(url);
    if (at != url.npos) {
        shown =
            fmt::format("{}***{}", scheme == url.npos || scheme > at ? "" : url.substr(0, scheme + 3), url.substr(at));
    }
    return fail(
        ErrorCategory::permanent, "invalid",
        fmt::format("Redis URL \"{}\": {}; expected redis://[user[:password]@]host[:port][/db], rediss://... or "
                    "unix://[user[:password]@]/path[?db=N]",
                    shown, why));
}

bool parse_database(std::string_view text, int& database) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), database);
    return error == std::errc() && end == text.data() + text.size() && database >= 0;
}

std::string encoded(std::string_view text) { return boost::urls::encode(text, boost::urls::unreserved_chars); }

}  // namespace

Result<Address> parse_address(std::string_view text) {
    const auto parsed = boost::urls::parse_uri(text);
    if (!parsed) return bad(text, "not a URL");
    const auto& url = *parsed;
    Address address;
    if (url.scheme() == "redis") {
        address.transport = Address::Transport::tcp;
    } else if (url.scheme() == "rediss") {
        address.transport = Address::Transport::tls;
    } else if (url.scheme() == "unix") {
        address.transport = Address::Transport::unix_socket;
    } else {
        return bad(text, "unknown scheme");
    }
    address.user = url.user();
    address.password = url.password();
    if (!address.password.empty() && address.user.empty()) address.user = "default";
    std::string database;
    if (address.transport == Address::Transport::unix_socket) {
        if (!url.encoded_host().empty()) return bad(text, "a unix socket has a path, not a host");
        address.host.clear();
        address.port = 0;
        address.path = url.path();
        if (address.path.size() < 2) return bad(text, "the socket's path is missing");
        for (const auto& parameter : url.params()) {
            if (parameter.key != "db") return bad(text, fmt::format("unknown parameter \"{}\"", parameter.key));
            database = parameter.value;
        }
    } else {
        if (url.encoded_host().empty()) return bad(text, "the host is missing");
        address.host = url.host_address();
        if (url.has_port()) {
            const std::string_view port = url.port();
            const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
            if (error != std::errc() || end != port.data() + port.size() || address.port == 0) {
                return bad(text, "the port is not in 1..65535");
            }
        }
        const std::string path = url.path();
        if (path.size() > 1) database = path.substr(1);
        if (url.has_query()) return bad(text, "parameters are not supported");
    }
    if (!database.empty() && !parse_database(database, address.database)) {
        return bad(text, "the database is not a number");
    }
    return address;
}

std::string to_url(const Address& address) {
    std::string account;
    if (!address.user.empty() || !address.password.empty()) {
        account = fmt::format("{}:{}@", encoded(address.user), encoded(address.password));
    }
    if (address.transport == Address::Transport::unix_socket) {
        const auto path = boost::urls::encode(address.path, boost::urls::unreserved_chars + '/');
        const auto query = address.database == 0 ? "" : fmt::format("?db={}", address.database);
        return fmt::format("unix://{}{}{}", account, path, query);
    }
    const auto* scheme = address.transport == Address::Transport::tls ? "rediss" : "redis";
    const bool six = address.host.contains(':');
    return fmt::format("{}://{}{}{}{}:{}/{}", scheme, account, six ? "[" : "", address.host, six ? "]" : "",
                       address.port, address.database);
}

std::string describe(const Address& address) {
    if (address.transport == Address::Transport::unix_socket) return address.path;
    return fmt::format("{}:{}", address.host, address.port);
}

}  // namespace codegen::redis
