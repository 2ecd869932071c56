#include "services/worker-manager/gateway/control_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/json.hpp>
#include <set>

#include "shared/async/scope.hpp"
#include "shared/json/json.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

using Local = asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::size_t kMaxConnections = 4;  // a wrapper has one
constexpr std::size_t kPiece = 4096;
constexpr std::size_t kLongestLine = 64u << 10;  // the wrapper announces at most half of that in commands

constexpr double kMost = 1e15;  // tokens, dollars: what is more is no figure, and must not overflow

std::optional<double> amount(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    if (!value || !value->is_number()) return std::nullopt;
    return std::clamp(value->to_number<double>(), 0.0, kMost);
}

std::optional<std::string> text(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value && value->is_string() ? std::optional(std::string(value->get_string())) : std::nullopt;
}

// What is no list of texts permits nothing.
std::optional<std::vector<std::string>> texts(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    if (!value || value->is_null()) return std::nullopt;
    std::vector<std::string> out;
    if (!value->is_array()) return out;
    for (const auto& item : value->get_array())
        if (item.is_string()) out.emplace_back(item.get_string());
    return out;
}

struct Peer {
    explicit Peer(Local::socket s) : socket(std::move(s)) {}
    // A line into a nearly empty buffer. One that does not fit ends the connection; the wrapper comes back and hears
    // it then.
    void say(const std::string& line) {
        const auto sent = ::send(socket.native_handle(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent == static_cast<ssize_t>(line.size())) return;
        error_code ignored;
        socket.close(ignored);
    }
    Local::socket socket;
};

}  // namespace

std::string take_control_line(const Gate& gate, std::string_view line) {
    auto parsed = json::parse_any(line);
    const auto* object = parsed ? parsed->if_object() : nullptr;
    if (!object) return {};
    const auto ended = text(*object, "ended");
    auto id = text(*object, "run");
    if (!ended && !id && !object->contains("idle")) return {};
    gate->run_told = true;
    if (!id) {
        // Nothing else runs either: a wrapper has one run at a time.
        if (ended) gate->spending.end(*ended);
        gate->run_commands.reset();
        gate->run_announced.cancel();
        return {};
    }
    gate->run_commands = texts(*object, "allowed_commands");
    const auto request_id = *id;
    const auto tokens = amount(*object, "tokens").value_or(0);
    AnnouncedRun run{std::move(*id), amount(*object, "budget_usd"), static_cast<std::int64_t>(tokens),
                     amount(*object, "usd").value_or(0)};
    if (gate->spending.begin(run)) {
        gate->halted.reset();
        gate->patience.forget();
    }
    gate->run_announced.cancel();
    if (const auto why = gate->spending.exceeded(); why && !gate->halted) gate->halted = Halt{"budget", *why};
    return gate->halted ? stop_line(request_id, *gate->halted) : std::string();
}

struct ControlSocket::Impl {
    Impl(asio::any_io_executor ex, Gate g) : gate(std::move(g)), acceptor(ex), scope(ex) {}

    static Task<void> accept(std::shared_ptr<Impl> self) {
        while (self->acceptor.is_open()) {
            auto [ec, socket] = co_await self->acceptor.async_accept(async::use_tuple);
            if (ec == asio::error::operation_aborted || !self->acceptor.is_open()) co_return;
            if (ec) {
                co_await async::sleep_for(std::chrono::milliseconds(100));
                continue;
            }
            if (self->peers.size() >= kMaxConnections) continue;  // the socket closes
            auto peer = std::make_shared<Peer>(std::move(socket));
            self->peers.insert(peer);
            self->scope.spawn("control of " + self->gate->identity.worker_id, serve(self, peer));
        }
    }

    static Task<void> serve(std::shared_ptr<Impl> self, std::shared_ptr<Peer> peer) {
        std::string pending;
        std::array<char, kPiece> buffer;
        while (peer->socket.is_open() && pending.size() <= kLongestLine) {
            auto [ec, n] = co_await peer->socket.async_read_some(asio::buffer(buffer), async::use_tuple);
            if (ec) break;
            pending.append(buffer.data(), n);
            std::size_t begin = 0;
            for (std::size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1)
                if (const auto answer =
                        take_control_line(self->gate, std::string_view(pending).substr(begin, end - begin));
                    !answer.empty())
                    peer->say(answer);
            pending.erase(0, begin);
        }
        error_code ignored;
        peer->socket.close(ignored);
        self->peers.erase(peer);
        // A run that begins before the wrapper is back is one that we have not heard of.
        if (self->peers.empty()) self->gate->run_told = false;
    }

    void shut() {
        gate->tell = {};
        error_code ignored;
        acceptor.close(ignored);
        for (const auto& peer : peers) peer->socket.close(ignored);
        scope.cancel();
    }

    const Gate gate;
    std::filesystem::path path;
    Local::acceptor acceptor;
    std::set<std::shared_ptr<Peer>> peers;
    async::Scope scope;
};

ControlSocket::ControlSocket(asio::any_io_executor executor, Gate gate)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(gate))) {}

ControlSocket::~ControlSocket() { impl_->shut(); }

Result<void> ControlSocket::listen(const std::filesystem::path& path) {
    auto address = posix::short_socket_path(path);
    if (!address) return std::unexpected(address.error());
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return posix::errno_error("remove " + path.string(), errno);
    error_code ec;
    auto& acceptor = impl_->acceptor;
    acceptor.open(Local(), ec);
    if (!ec) acceptor.bind(Local::endpoint(address->path), ec);
    if (!ec && ::chmod(path.c_str(), 0600) != 0) ec.assign(errno, boost::system::system_category());
    if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
    if (ec) return fail(ErrorCategory::permanent, "io", "listen on " + path.string() + ": " + ec.message());
    impl_->path = path;
    impl_->gate->tell = [weak = std::weak_ptr(impl_)](const std::string& line) {
        if (const auto impl = weak.lock()) {
            const auto peers = impl->peers;
            for (const auto& peer : peers) peer->say(line);
        }
    };
    impl_->scope.spawn("control socket", Impl::accept(impl_));
    return {};
}

Task<void> ControlSocket::close() {
    auto impl = impl_;
    impl->shut();
    co_await impl->scope.stop();
    impl->peers.clear();
    if (!impl->path.empty()) ::unlink(impl->path.c_str());
}

}  // namespace codegen::worker_manager
