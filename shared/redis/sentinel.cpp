#include "shared/redis/sentinel.hpp"

#include <fmt/format.h>

#include <boost/asio/async_result.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <cstdlib>

#include "shared/async/deadline.hpp"
#include "shared/redis/wire.hpp"

namespace codegen::redis {
namespace {

using boost::system::error_code;

constexpr std::chrono::seconds kPatience{2};

std::unexpected<Error> lost(std::string why) { return fail(ErrorCategory::transient, "connection", std::move(why)); }

template <class Start>
Task<std::pair<error_code, std::size_t>> perform(Start start) {
    auto ended = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::pair<error_code, std::size_t>)>(
        [start](auto handler) {
            auto shared = std::make_shared<decltype(handler)>(std::move(handler));
            start([shared](error_code error, std::size_t size) { std::move (*shared)(std::pair(error, size)); });
        },
        asio::use_awaitable);
    co_return ended;
}

// Sends the commands and returns their last reply; the wire is closed by its owner when that takes too long.
Task<Result<Reply>> converse(std::shared_ptr<Wire> wire, std::string commands, int replies) {
    auto [failed, written] =
        co_await perform([&](Wire::Handler done) { wire->write_all(asio::buffer(commands), std::move(done)); });
    if (failed) co_return lost(failed.message());
    ReplyReader reader;
    std::vector<char> buffer(4096);
    for (;;) {
        auto reply = reader.next();
        if (!reply) co_return std::unexpected(reply.error());
        if (*reply && (*reply)->is_error()) co_return lost((*reply)->text);
        if (*reply && --replies == 0) co_return std::move(**reply);
        if (*reply) continue;
        auto [error, size] =
            co_await perform([&](Wire::Handler done) { wire->read_some(asio::buffer(buffer), std::move(done)); });
        if (error) co_return lost(error.message());
        reader.feed({buffer.data(), size});
    }
}

Task<Result<Address>> ask(Address sentinel, Address wanted) {
    const auto executor = co_await asio::this_coro::executor;
    const auto wire = make_wire(executor, sentinel);
    auto opening = wire->open(sentinel);
    auto opened = co_await async::with_timeout(std::move(opening), kPatience, "connect");
    if (!opened) co_return std::unexpected(opened.error());
    asio::steady_timer patience(executor, kPatience);
    patience.async_wait([wire](const error_code& stopped) {
        if (!stopped) wire->close();
    });
    std::string commands;
    int replies = 1;
    if (!sentinel.password.empty()) {
        encode_command(commands, sentinel.user.empty() ? Arguments{"AUTH", sentinel.password}
                                                       : Arguments{"AUTH", sentinel.user, sentinel.password});
        ++replies;
    }
    encode_command(commands, Arguments{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", wanted.master_name});
    auto reply = co_await converse(wire, std::move(commands), replies);
    patience.cancel();
    wire->close();
    if (!reply) co_return std::unexpected(reply.error());
    if (reply->is_nil()) co_return lost("it knows no master " + wanted.master_name);
    if (reply->elements.size() != 2) co_return lost("its answer is no address");
    wanted.host = reply->elements[0].text;
    const auto& port = reply->elements[1].text;
    const auto [end, bad] = std::from_chars(port.data(), port.data() + port.size(), wanted.port);
    if (bad != std::errc() || end != port.data() + port.size()) co_return lost("its answer is no address");
    co_return wanted;
}

}  // namespace

Task<Result<Address>> find_server(Address address) {
    if (address.sentinels.empty()) co_return address;
    std::string problems;
    for (const auto& node : address.sentinels) {
        Address sentinel;
        sentinel.transport = address.transport;
        sentinel.host = node.host;
        sentinel.port = node.port;
        sentinel.user = address.sentinel_user;
        sentinel.password = address.sentinel_password;
        sentinel.ca_file = address.ca_file;
        sentinel.certificate_file = address.certificate_file;
        sentinel.key_file = address.key_file;
        auto found = co_await ask(std::move(sentinel), address);
        if (found) co_return found;
        problems += fmt::format("{}sentinel {}:{}: {}", problems.empty() ? "" : "; ", node.host, node.port,
                                found.error().message);
    }
    co_return lost(std::move(problems));
}

Result<void> prepare_tls(asio::ssl::context& context, const Address& address) {
    error_code error;
    const auto failed = [&](std::string_view what, const std::string& file) -> Result<void> {
        return fail(ErrorCategory::permanent, "tls", fmt::format("{} \"{}\": {}", what, file, error.message()));
    };
    context.set_verify_mode(asio::ssl::verify_peer, error);
    if (address.ca_file.empty()) {
        error_code ignored;  // no store: the handshake fails and says so
        context.set_default_verify_paths(ignored);
    } else if (context.load_verify_file(address.ca_file, error); error) {
        return failed("TLS authorities of Redis", address.ca_file);
    }
    if (address.certificate_file.empty()) return {};
    if (context.use_certificate_chain_file(address.certificate_file, error); error)
        return failed("TLS certificate for Redis", address.certificate_file);
    if (context.use_private_key_file(address.key_file, asio::ssl::context::pem, error); error)
        return failed("TLS key for Redis", address.key_file);
    return {};
}

}  // namespace codegen::redis
