// Which hosts a worker may reach through CONNECT. Pure.
#pragma once
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"

namespace codegen::worker_manager {

struct HostPort {
    std::string host;  // lower case, without brackets and without a trailing dot
    std::uint16_t port = 0;
    std::optional<boost::asio::ip::address> literal;  // when the host is an IP address
};
// "host:port", "1.2.3.4:443", "[::1]:443".
Result<HostPort> parse_host_port(std::string_view text);

// Loopback, link-local, private (RFC 1918, 6598, ULA), multicast, unspecified, reserved; also when wrapped in an IPv6
// address (mapped, compatible, NAT64, 6to4, Teredo).
bool is_internal_address(const boost::asio::ip::address& address);

class EgressRules {
  public:
    // `where` they stand, for the error: EGRESS_ALLOW, a project's config. Entries: "host:port", "*.domain:port" (its
    // subdomains, not itself), "*:port", "ip:port".
    static Result<EgressRules> parse(const std::vector<std::string>& entries, std::string_view where = "EGRESS_ALLOW");

    void add(const EgressRules& more) { rules_.insert(rules_.end(), more.rules_.begin(), more.rules_.end()); }

    // The name or literal address as asked for, before resolution; the error says why not, in one line.
    Result<void> allows_name(const HostPort& target) const;
    // An address that the name resolved to: internal ones only when listed literally with this port.
    bool allows_address(const boost::asio::ip::address& address, std::uint16_t port) const;

  private:
    struct Rule {
        std::string host;  // exact, or the suffix ".domain", or "" for any
        std::uint16_t port;
        std::optional<boost::asio::ip::address> literal;
    };
    std::vector<Rule> rules_;
};

}  // namespace codegen::worker_manager
