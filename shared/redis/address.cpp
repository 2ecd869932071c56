#include <fmt/format.h>

#include <algorithm>
#include <boost/url.hpp>
#include <charconv>

#include "shared/redis/client.hpp"

namespace codegen::redis {
namespace {

std::unexpected<Error> bad(std::string_view url, std::string_view why) {
    // The user information may hold a password, and so may the parameters: neither is repeated.
    url = url.substr(0, url.find('?'));
    const auto scheme = url.find("://");
    const auto at = url.rfind('@');
    std::string shown(url);
    if (at != url.npos) {
        shown =
            fmt::format("{}***{}", scheme == url.npos || scheme > at ? "" : url.substr(0, scheme + 3), url.substr(at));
    }
    return fail(
        ErrorCategory::permanent, "invalid",
        fmt::format(
            "Redis URL \"{}\": {}; expected redis://[user[:password]@]host[:port][/db], rediss://..., "
            "unix://[user[:password]@]/path[?db=N] or redis+sentinel://[user[:password]@]host[:port],.../master",
            shown, why));
}

bool parse_database(std::string_view text, int& database) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), database);
    return error == std::errc() && end == text.data() + text.size() && database >= 0;
}

std::string encoded(std::string_view text) { return boost::urls::encode(text, boost::urls::unreserved_chars); }
std::string encoded_path(std::string_view text) {
    return boost::urls::encode(text, boost::urls::unreserved_chars + '/');
}

bool parse_port(std::string_view text, std::uint16_t& port) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port != 0;
}

// The parameter's place in `address`; nullptr: there is no such parameter with this kind of address.
std::string* parameter_of(Address& address, std::string_view name) {
    if (address.transport == Address::Transport::tls) {
        if (name == "ca") return &address.ca_file;
        if (name == "cert") return &address.certificate_file;
        if (name == "key") return &address.key_file;
    }
    if (!address.sentinels.empty()) {
        if (name == "sentinel_user") return &address.sentinel_user;
        if (name == "sentinel_password") return &address.sentinel_password;
    }
    return nullptr;
}

// "host[:port],[::1]:26380,..." to nodes; false: one of them is none.
bool parse_nodes(std::string_view text, std::vector<Address::Node>& out) {
    while (!text.empty()) {
        const auto comma = std::min(text.find(','), text.size());
        const auto url = "redis://" + std::string(text.substr(0, comma));  // outlives the view of it
        const auto parsed = boost::urls::parse_uri(url);
        if (!parsed || parsed->encoded_host().empty() || parsed->has_userinfo()) return false;
        Address::Node node{.host = parsed->host_address()};
        if (parsed->has_port() && !parse_port(parsed->port(), node.port)) return false;
        out.push_back(std::move(node));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return !out.empty();
}

// Takes the list of sentinels out of the URL, leaving one that is a URL for everybody.
Result<std::string> take_sentinels(std::string_view text, Address& address) {
    const auto begin = text.find("://") + 3;
    const auto end = std::min(text.find_first_of("/?#", begin), text.size());
    auto authority = text.substr(begin, end - begin);
    const auto at = authority.rfind('@');
    const auto user = at == authority.npos ? std::string_view() : authority.substr(0, at + 1);
    if (!parse_nodes(authority.substr(user.size()), address.sentinels))
        return bad(text, "expected sentinels as host[:port],host[:port],...");
    return fmt::format("{}://{}sentinel{}", address.transport == Address::Transport::tls ? "rediss" : "redis", user,
                       text.substr(end));
}

std::string parameters_of(const Address& address) {
    std::string out;
    const auto add = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) out += fmt::format("{}{}={}", out.empty() ? "?" : "&", name, encoded_path(value));
    };
    add("ca", address.ca_file);
    add("cert", address.certificate_file);
    add("key", address.key_file);
    add("sentinel_user", address.sentinel_user);
    add("sentinel_password", address.sentinel_password);
    return out;
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
    Address address;
    std::string rest;
    std::string_view whole = text;
    for (const std::string_view scheme : {"redis+sentinel://", "rediss+sentinel://"}) {
        if (!text.starts_with(scheme)) continue;
        if (scheme[5] == 's') address.transport = Address::Transport::tls;
        auto taken = take_sentinels(text, address);
        if (!taken) return std::unexpected(taken.error());
        rest = std::move(*taken);
        whole = rest;
    }
    const auto parsed = boost::urls::parse_uri(whole);
    if (!parsed) return bad(text, "not a URL");
    const auto& url = *parsed;
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
        if (url.has_port() && !parse_port(url.port(), address.port)) return bad(text, "the port is not in 1..65535");
        std::string path = url.path();
        if (!path.empty()) path.erase(0, 1);
        if (!address.sentinels.empty()) {
            address.host.clear();
            address.master_name = path.substr(0, path.find('/'));
            if (address.master_name.empty()) return bad(text, "the name of the master is missing behind the sentinels");
            path.erase(0, address.master_name.size() + 1);
        }
        database = path;
        for (const auto& parameter : url.params()) {
            auto* place = parameter_of(address, parameter.key);
            if (!place) return bad(text, fmt::format("unknown parameter \"{}\"", parameter.key));
            *place = parameter.value;
        }
        if (address.certificate_file.empty() != address.key_file.empty()) return bad(text, "cert and key go together");
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
        const auto query = address.database == 0 ? "" : fmt::format("?db={}", address.database);
        return fmt::format("unix://{}{}{}", account, encoded_path(address.path), query);
    }
    const auto* scheme = address.transport == Address::Transport::tls ? "rediss" : "redis";
    const auto node = [](const std::string& host, std::uint16_t port) {
        return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
    };
    if (address.sentinels.empty())
        return fmt::format("{}://{}{}/{}{}", scheme, account, node(address.host, address.port), address.database,
                           parameters_of(address));
    std::string nodes;
    for (const auto& each : address.sentinels) nodes += (nodes.empty() ? "" : ",") + node(each.host, each.port);
    return fmt::format("{}+sentinel://{}{}/{}/{}{}", scheme, account, nodes, encoded(address.master_name),
                       address.database, parameters_of(address));
}

std::string describe(const Address& address) {
    if (address.transport == Address::Transport::unix_socket) return address.path;
    if (address.sentinels.empty()) return fmt::format("{}:{}", address.host, address.port);
    std::string out = "master " + address.master_name + " of sentinels ";
    for (const auto& each : address.sentinels)
        out += fmt::format("{}{}:{}", out.ends_with(' ') ? "" : ",", each.host, each.port);
    return out;
}

}  // namespace codegen::redis
