#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>

#include "services/worker-manager/gateway/doors.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

using Addresses = std::vector<asio::ip::address>;
constexpr std::chrono::milliseconds kConnectTimeout{10000};

Task<Result<Addresses>> resolve(Gate gate, HostPort target) {
    if (target.literal) co_return Addresses{*target.literal};
    if (gate->settings->resolve) co_return co_await gate->settings->resolve(target.host);
    asio::ip::tcp::resolver resolver(co_await asio::this_coro::executor);
    auto [ec, found] = co_await resolver.async_resolve(target.host, std::to_string(target.port), async::use_tuple);
    if (ec) co_return fail(ErrorCategory::transient, "connection", fmt::format("{}: {}", target.host, ec.message()));
    Addresses addresses;
    for (const auto& entry : found) addresses.push_back(entry.endpoint().address());
    co_return addresses;
}

struct Tunnel {
    explicit Tunnel(Gate g, std::unique_ptr<http::Stream> s) : gate(std::move(g)), outside(std::move(s)) {}
    Gate gate;
    std::unique_ptr<http::Stream> outside;
};

Task<void> carry(std::shared_ptr<Tunnel> tunnel, std::unique_ptr<http::Stream> worker) {
    auto& gate = *tunnel->gate;
    gate.tunnels.insert(worker.get());
    gate.tunnels.insert(tunnel->outside.get());
    const auto [sent, received] = co_await http::relay(*worker, *tunnel->outside);
    gate.counts.tunnel_bytes_sent += static_cast<std::int64_t>(sent);
    gate.counts.tunnel_bytes_received += static_cast<std::int64_t>(received);
    gate.tunnels.erase(worker.get());
    gate.tunnels.erase(tunnel->outside.get());
}

}  // namespace

Task<http::Reply> tunnel_door(Gate gate, http::Request request) {
    auto target = parse_host_port(request.target);
    if (!target) co_return refuse(gate, 403, target.error().message);
    auto named = gate->egress.allows_name(*target);
    if (!named) co_return refuse(gate, 403, named.error().message);
    auto addresses = co_await resolve(gate, *target);
    if (!addresses) co_return refuse(gate, 502, addresses.error().message);

    // Connected to is exactly what was checked: the name is not looked up a second time.
    std::string last = "it has no address";
    unsigned status = 502;
    for (const auto& address : *addresses) {
        if (!gate->egress.allows_address(address, target->port)) {
            last = fmt::format("{} is {}, an internal address that is not listed literally", target->host,
                               address.to_string());
            status = 403;
            continue;
        }
        auto outside = co_await http::connect_tcp(address.to_string(), target->port, kConnectTimeout);
        if (!outside) {
            last = outside.error().message;
            status = 502;
            continue;
        }
        ++gate->counts.tunnels;
        log::info("tunnel",
                  {{"worker_id", gate->identity.worker_id}, {"to", request.target}, {"address", address.to_string()}});
        auto tunnel = std::make_shared<Tunnel>(gate, std::move(*outside));
        http::Reply reply;
        reply.head.status = 200;
        reply.upgrade = [tunnel](std::unique_ptr<http::Stream> worker) { return carry(tunnel, std::move(worker)); };
        co_return reply;
    }
    co_return refuse(gate, status, last);
}

}  // namespace codegen::worker_manager
