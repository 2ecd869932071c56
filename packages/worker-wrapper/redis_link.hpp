// One connection to the worker's Redis gateway (a unix socket), reconnected for ever with backoff. Commands are
// pipelined; what was sent and not answered when the connection ends gets an empty reply (nullptr): unknown whether it
// was done.
#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>

#include "packages/worker-wrapper/loop.hpp"
#include "shared/resp/resp.hpp"

namespace codegen::wrapper {

class RedisLink {
  public:
    using OnReply = std::function<void(const redis::Reply* reply)>;  // nullptr: the connection ended

    // `on_up` is called at every (re)connection, `on_down` at every loss. The loop outlives the link.
    RedisLink(Loop& loop, std::string socket_path, std::function<void()> on_up, std::function<void()> on_down);
    ~RedisLink();

    void start();
    bool up() const { return up_; }
    std::size_t unsent_bytes() const { return out_.size(); }
    // Only while up; otherwise `on_reply(nullptr)` at once. Written by flush(), or when the socket has room.
    void send(redis::Arguments arguments, OnReply on_reply);
    void flush();
    // Connects anew: what was sent and not answered gets its empty reply. Not from within a reply of this link.
    void drop();

  private:
    void connect();
    void lost(std::string_view why, bool on_purpose = false);
    void ready(std::uint32_t events);

    Loop& loop_;
    const std::string path_;
    const std::function<void()> on_up_;
    const std::function<void()> on_down_;
    posix::Fd fd_;
    bool up_ = false;
    bool waiting_for_room_ = false;
    std::string out_;
    std::deque<OnReply> waiting_;
    std::optional<redis::ReplyReader> reader_;
    std::chrono::milliseconds backoff_{0};
    Loop::TimerId retry_ = 0;
    bool said_lost_ = false;
};

}  // namespace codegen::wrapper
