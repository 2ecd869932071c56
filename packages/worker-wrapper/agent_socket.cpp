#include "packages/worker-wrapper/agent_socket.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

#include "packages/worker-wrapper/log.hpp"
#include "packages/worker-wrapper/privileges.hpp"
#include "packages/worker-wrapper/unix_socket.hpp"
#include "shared/contracts/permissions.hpp"
#include "shared/json/json.hpp"

namespace codegen::wrapper {

namespace {

constexpr std::size_t kLongestRequest = 1u << 20;
constexpr std::size_t kPeers = 16;

std::string refusal(std::string_view kind, std::string message) {
    return boost::json::serialize(
        boost::json::object{{"success", false}, {"error", kind}, {"message", std::move(message)}});
}

}  // namespace

std::string answer_agent_line(std::string_view line, const std::vector<std::string>& allowed_commands,
                              const std::function<std::string(contracts::AgentVerdict)>& take) {
    auto request = json::parse_any(line);
    if (!request) return refusal("invalid", request.error().front().message);
    const auto* object = request->if_object();
    const auto* command = object != nullptr ? object->if_contains("command") : nullptr;
    if (command == nullptr || !command->is_string()) return refusal("invalid", "command: missing, expected \"result\"");
    if (command->get_string() != "result")
        return refusal("invalid",
                       "command: unknown value \"" + std::string(command->get_string()) + "\", expected result");
    if (!contracts::allows(allowed_commands, "result")) {
        boost::json::array allowed(allowed_commands.begin(), allowed_commands.end());
        return boost::json::serialize(boost::json::object{{"success", false},
                                                          {"error", "permission_denied"},
                                                          {"message", "this worker may not use: result"},
                                                          {"allowed_commands", std::move(allowed)}});
    }
    const auto* verdict = object->if_contains("verdict");
    if (verdict == nullptr) return refusal("invalid", "verdict: missing");
    auto parsed = json::from_value<contracts::AgentVerdict>(*verdict);
    if (!parsed) {
        std::string message;
        for (const auto& error : parsed.error()) {
            if (!message.empty()) message += "; ";
            message += "verdict." + error.path + ": " + error.message;
        }
        return refusal("invalid", std::move(message));
    }
    if (const std::string why = take(std::move(*parsed)); !why.empty()) return refusal("conflict", why);
    return R"({"success":true})";
}

AgentSocket::~AgentSocket() {
    while (!peers_.empty()) close(peers_.begin()->first);
    if (listener_) loop_.unwatch(listener_.get());
}

Result<void> AgentSocket::listen(const contracts::WrapperConfig& config) {
    const auto directory = std::filesystem::path(config.gateway_directory) / "agent";
    // Docker's tmpfs takes over the mode of the directory below it, but not the group: the agent could not pass.
    if (::chmod(directory.c_str(), 0755) != 0)
        log("warning", "cannot open the way to agent.sock",
            {{"directory", directory.string()}, {"error", std::strerror(errno)}});
    const EffectiveGroup group(config.agent_gid);
    auto listener = listen_unix(directory / "agent.sock", 0660);
    if (!listener) return std::unexpected(listener.error());
    listener_ = std::move(*listener);
    loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
    return {};
}

void AgentSocket::accept() {
    for (;;) {
        posix::Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd) return;
        if (peers_.size() >= kPeers) close(peers_.begin()->first);  // an agent can only starve itself
        const int number = fd.get();
        peers_.emplace(number, Peer{std::move(fd), {}});
        loop_.watch(number, EPOLLIN, [this, number](std::uint32_t) { ready(number); });
    }
}

void AgentSocket::ready(int fd) {
    Peer& peer = peers_.at(fd);
    std::array<char, 16384> buffer;
    const auto count = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return close(fd);
    peer.in.append(buffer.data(), static_cast<std::size_t>(count));
    for (std::size_t end = 0; (end = peer.in.find('\n')) != std::string::npos;) {
        const std::string answer = on_line_(std::string_view(peer.in).substr(0, end)) + "\n";
        peer.in.erase(0, end + 1);
        // One short line into an empty buffer: a peer that does not read its answers is closed.
        if (::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(answer.size()))
            return close(fd);
    }
    if (peer.in.size() > kLongestRequest) close(fd);
}

void AgentSocket::close(int fd) {
    loop_.unwatch(fd);
    peers_.erase(fd);
}

}  // namespace codegen::wrapper
