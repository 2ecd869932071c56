#include "services/worker-manager/gateway/egress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace codegen::worker_manager {
namespace {

namespace ip = boost::asio::ip;

std::unexpected<Error> unreadable(std::string_view text, std::string_view why) {
    return fail(ErrorCategory::permanent, "invalid", fmt::format("\"{}\": {}, expected host:port", text, why));
}

struct Block {
    std::uint32_t network;
    int bits;
};
// RFC 6890 and its successors: everything that is not the public Internet.
constexpr std::array<Block, 14> kInternal4{{{0x00000000, 8},
                                            {0x0a000000, 8},
                                            {0x64400000, 10},
                                            {0x7f000000, 8},
                                            {0xa9fe0000, 16},
                                            {0xac100000, 12},
                                            {0xc0000000, 24},
                                            {0xc0000200, 24},
                                            {0xc0a80000, 16},
                                            {0xc6120000, 15},
                                            {0xc6336400, 24},
                                            {0xcb007100, 24},
                                            {0xe0000000, 4},
                                            {0xf0000000, 4}}};

bool internal4(std::uint32_t address) {
    return std::ranges::any_of(kInternal4,
                               [&](const Block& block) { return (address ^ block.network) >> (32 - block.bits) == 0; });
}

std::uint32_t word(const ip::address_v6::bytes_type& bytes, std::size_t at) {
    return static_cast<std::uint32_t>(bytes[at]) << 24 | static_cast<std::uint32_t>(bytes[at + 1]) << 16 |
           static_cast<std::uint32_t>(bytes[at + 2]) << 8 | bytes[at + 3];
}

bool internal6(const ip::address_v6& address) {
    const auto bytes = address.to_bytes();
    if (address.is_v4_mapped()) return internal4(word(bytes, 12));
    const auto first = word(bytes, 0);
    // 64:ff9b::/96 and 6to4 lead to the IPv4 address inside.
    if (first == 0x0064ff9b && word(bytes, 4) == 0 && word(bytes, 8) == 0) return internal4(word(bytes, 12));
    if (first >> 16 == 0x2002) return internal4(word(bytes, 2));
    if (first == 0x20010000) return true;  // Teredo
    // Global unicast is 2000::/3; all else (loopback, ::/8, ULA, link-local, site-local, multicast) stays inside.
    return first >> 29 != 1;
}

bool is_name(std::string_view host) {
    return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](unsigned char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    });
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

struct Split {
    std::string host;
    std::uint16_t port;
    bool bracketed;
};

Result<Split> split(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return unreadable(text, "no port");
    auto host = text.substr(0, colon);
    const auto digits = text.substr(colon + 1);
    unsigned port = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (ec != std::errc{} || end != digits.data() + digits.size() || port == 0 || port > 65535)
        return unreadable(text, "not a port");
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    if (bracketed) host = host.substr(1, host.size() - 2);
    auto name = lower(host);
    if (!bracketed && name.ends_with('.')) name.pop_back();
    return Split{std::move(name), static_cast<std::uint16_t>(port), bracketed};
}

}  // namespace

Result<HostPort> parse_host_port(std::string_view text) {
    auto parts = split(text);
    if (!parts) return std::unexpected(parts.error());
    HostPort out{std::move(parts->host), parts->port, {}};
    boost::system::error_code ec;
    const auto address = ip::make_address(out.host, ec);
    if (!ec && address.is_v6() == parts->bracketed) {
        if (address.is_v6() && address.to_v6().scope_id() != 0) return unreadable(text, "a scoped address");
        out.literal = address;
    } else if (parts->bracketed || !is_name(out.host)) {
        return unreadable(text, "not a host");
    }
    return out;
}

bool is_internal_address(const ip::address& address) {
    return address.is_v4() ? internal4(address.to_v4().to_uint()) : internal6(address.to_v6());
}

Result<EgressRules> EgressRules::parse(const std::vector<std::string>& entries, std::string_view where) {
    EgressRules rules;
    for (const auto& entry : entries) {
        if (entry.starts_with("*")) {
            auto rest = split(std::string_view(entry).substr(1));
            if (!rest || !(rest->host.empty() || (rest->host.starts_with('.') && is_name(rest->host))))
                return fail(ErrorCategory::permanent, "invalid",
                            fmt::format("{}: \"{}\": expected *.domain:port or *:port", where, entry));
            rules.rules_.push_back({rest->host, rest->port, {}});
            continue;
        }
        auto target = parse_host_port(entry);
        if (!target) return std::unexpected(in_context(target.error(), where));
        rules.rules_.push_back({target->host, target->port, target->literal});
    }
    return rules;
}

Result<void> EgressRules::allows_name(const HostPort& target) const {
    const auto matches = [&](const Rule& rule) {
        if (rule.port != target.port) return false;
        if (target.literal || rule.literal) return rule.literal == target.literal;
        if (rule.host.empty()) return true;
        return rule.host.starts_with('.') ? target.host.ends_with(rule.host) && target.host.size() > rule.host.size()
                                          : target.host == rule.host;
    };
    if (std::ranges::any_of(rules_, matches)) return {};
    return fail(ErrorCategory::permanent, "forbidden",
                fmt::format("{}:{} is not on the list of hosts that workers may reach (EGRESS_ALLOW, or the project's "
                            "config.egress_allow)",
                            target.host, target.port));
}

bool EgressRules::allows_address(const ip::address& address, std::uint16_t port) const {
    if (!is_internal_address(address)) return true;
    return std::ranges::any_of(rules_, [&](const Rule& rule) { return rule.literal == address && rule.port == port; });
}

}  // namespace codegen::worker_manager
