#include "packages/worker-wrapper/gateway_link.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "packages/worker-wrapper/log.hpp"
#include "packages/worker-wrapper/unix_socket.hpp"
#include "shared/json/enum.hpp"
#include "shared/json/json.hpp"

namespace codegen::wrapper {

namespace {

constexpr std::chrono::milliseconds kFirstBackoff{20};
constexpr std::chrono::milliseconds kLongestBackoff{500};
constexpr std::size_t kMostCommands = 32u << 10;  // bytes of one announcement
constexpr std::size_t kLongestMessage = 16384;

double amount(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

std::string text(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

GatewayLink::GatewayLink(Loop& loop, std::string socket_path, OnStop on_stop)
    : loop_(loop), path_(std::move(socket_path)), on_stop_(std::move(on_stop)) {}

GatewayLink::~GatewayLink() {
    if (fd_) loop_.unwatch(fd_.get());
    loop_.cancel(retry_);
}

void GatewayLink::start() { connect(); }

void GatewayLink::begin(std::string request_id, std::optional<double> budget_usd,
                        std::optional<std::vector<std::string>> allowed_commands) {
    std::size_t bytes = 0;
    for (const auto& command : allowed_commands.value_or(std::vector<std::string>())) bytes += command.size() + 3;
    if (bytes > kMostCommands) {
        log("warning", "the request's allowed_commands are too long to be told to the gateway; it permits none of them",
            {{"request_id", request_id}, {"bytes", std::to_string(bytes)}, {"limit", std::to_string(kMostCommands)}});
        allowed_commands->clear();
    }
    run_ = Announced{std::move(request_id), budget_usd, std::move(allowed_commands)};
    announce();
}

void GatewayLink::end() {
    if (!run_) return;
    say(boost::json::serialize(boost::json::object{{"ended", run_->request_id}}));
    run_.reset();
}

void GatewayLink::connect() {
    auto connected = connect_unix(path_);
    if (!connected) return lost(connected.error().message);
    fd_ = std::move(*connected);
    lines_.emplace(kLongestMessage);
    backoff_ = {};
    if (std::exchange(said_lost_, false)) log_info("the gateway is back", {{"socket", path_}});
    loop_.watch(fd_.get(), EPOLLIN, [this](std::uint32_t) { ready(); });
    announce();
}

void GatewayLink::lost(std::string_view why) {
    if (!std::exchange(said_lost_, true))
        log("warning", "the gateway is away, trying again until it is back", {{"socket", path_}, {"error", why}});
    if (fd_) loop_.unwatch(fd_.get());
    fd_.reset();
    backoff_ = backoff_.count() == 0 ? kFirstBackoff : std::min(backoff_ * 2, kLongestBackoff);
    loop_.cancel(retry_);
    retry_ = loop_.after(backoff_, [this] {
        retry_ = 0;
        connect();
    });
}

void GatewayLink::ready() {
    std::array<char, 4096> buffer;
    const auto count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return lost(count == 0 ? "closed" : std::strerror(errno));
    lines_->feed({buffer.data(), static_cast<std::size_t>(count)}, [this](std::string_view line, bool cut) {
        if (!cut) take_line(line);
    });
}

void GatewayLink::take_line(std::string_view line) {
    const auto parsed = json::parse_any(line);
    const auto* message = parsed ? parsed->if_object() : nullptr;
    if (message == nullptr || !run_ || text(*message, "run") != run_->request_id) return;
    const auto stop = text(*message, "stop");
    if (stop.empty()) {
        run_->tokens = amount(*message, "tokens");
        run_->usd = amount(*message, "usd");
        return;
    }
    const auto reason = json::enum_from<contracts::FailureReason>(stop);
    log("warning", "the gateway ends the run", {{"request_id", run_->request_id}, {"reason", stop}});
    on_stop_(reason.value_or(contracts::FailureReason::infrastructure), text(*message, "error"));
}

void GatewayLink::announce() {
    if (!run_) return say(R"({"idle":true})");
    boost::json::object message{{"run", run_->request_id}};
    if (run_->allowed_commands)
        message["allowed_commands"] =
            boost::json::array(run_->allowed_commands->begin(), run_->allowed_commands->end());
    if (run_->budget_usd) message["budget_usd"] = *run_->budget_usd;
    if (run_->tokens > 0) message["tokens"] = run_->tokens;
    if (run_->usd > 0) message["usd"] = run_->usd;
    say(boost::json::serialize(message));
}

// A short line into a buffer that is nearly empty. One that does not fit is said again after the reconnection.
void GatewayLink::say(const std::string& line) {
    if (!fd_) return;
    const auto whole = line + "\n";
    const auto sent = ::send(fd_.get(), whole.data(), whole.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != static_cast<ssize_t>(whole.size())) lost("a line could not be sent");
}

}  // namespace codegen::wrapper
