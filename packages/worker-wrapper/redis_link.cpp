#include "packages/worker-wrapper/redis_link.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "packages/worker-wrapper/log.hpp"
#include "packages/worker-wrapper/unix_socket.hpp"

namespace codegen::wrapper {

namespace {
constexpr std::chrono::milliseconds kFirstBackoff{20};
constexpr std::chrono::milliseconds kLongestBackoff{1000};
}  // namespace

RedisLink::RedisLink(Loop& loop, std::string socket_path, std::function<void()> on_up, std::function<void()> on_down)
    : loop_(loop), path_(std::move(socket_path)), on_up_(std::move(on_up)), on_down_(std::move(on_down)) {}

RedisLink::~RedisLink() {
    if (fd_) loop_.unwatch(fd_.get());
    loop_.cancel(retry_);
}

void RedisLink::start() { connect(); }

void RedisLink::connect() {
    auto connected = connect_unix(path_);
    if (!connected) return lost(connected.error().message);
    fd_ = std::move(*connected);
    reader_.emplace();
    up_ = true;
    backoff_ = {};
    if (said_lost_) log_info("redis is back", {{"socket", path_}});
    said_lost_ = false;
    loop_.watch(fd_.get(), EPOLLIN, [this](std::uint32_t events) { ready(events); });
    on_up_();
}

void RedisLink::drop() {
    if (up_) lost("dropped", true);
}

void RedisLink::lost(std::string_view why, bool on_purpose) {
    if (!on_purpose && !said_lost_)
        log("warning", "redis is away, trying again until it is back", {{"socket", path_}, {"error", why}});
    said_lost_ = said_lost_ || !on_purpose;
    const bool was_up = up_;
    up_ = false;
    waiting_for_room_ = false;
    if (fd_) loop_.unwatch(fd_.get());
    fd_.reset();
    out_.clear();
    backoff_ = backoff_.count() == 0 ? kFirstBackoff : std::min(backoff_ * 2, kLongestBackoff);
    loop_.cancel(retry_);
    retry_ = loop_.after(backoff_, [this] {
        retry_ = 0;
        connect();
    });
    auto unanswered = std::exchange(waiting_, {});
    for (auto& on_reply : unanswered)
        if (on_reply) on_reply(nullptr);
    if (was_up) on_down_();
}

void RedisLink::send(redis::Arguments arguments, OnReply on_reply) {
    if (!up_) {
        if (on_reply) on_reply(nullptr);
        return;
    }
    redis::encode_command(out_, arguments);
    waiting_.push_back(std::move(on_reply));
}

void RedisLink::flush() {
    if (!up_ || out_.empty() || waiting_for_room_) return;
    std::size_t sent = 0;
    while (sent < out_.size()) {
        const auto count = ::send(fd_.get(), out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
        if (count > 0) {
            sent += static_cast<std::size_t>(count);
        } else if (count < 0 && errno == EINTR) {
            continue;
        } else if (count < 0 && errno == EAGAIN) {
            break;
        } else {
            return lost(std::strerror(errno));
        }
    }
    out_.erase(0, sent);
    if (out_.empty() && out_.capacity() > 65536) out_.shrink_to_fit();  // after a burst
    if (!out_.empty()) {
        waiting_for_room_ = true;
        loop_.change(fd_.get(), EPOLLIN | EPOLLOUT);
    }
}

void RedisLink::ready(std::uint32_t events) {
    if ((events & EPOLLOUT) != 0 && waiting_for_room_) {
        waiting_for_room_ = false;
        loop_.change(fd_.get(), EPOLLIN);
        flush();
        if (!up_) return;
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    std::array<char, 16384> buffer;
    const auto count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return lost(count == 0 ? "connection closed" : std::strerror(errno));
    reader_->feed({buffer.data(), static_cast<std::size_t>(count)});
    while (up_) {
        auto reply = reader_->next();
        if (!reply) return lost(reply.error().message);
        if (!*reply) return;
        if (waiting_.empty()) return lost("a reply to nothing");
        auto on_reply = std::move(waiting_.front());
        waiting_.pop_front();
        if (on_reply) on_reply(&**reply);
    }
}

}  // namespace codegen::wrapper
