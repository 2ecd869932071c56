// Takes requests from the worker's streams: its own connection (reading blocks it), group and consumer made when
// missing, what was delivered before and not acknowledged first.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "packages/worker-wrapper/redis_link.hpp"

namespace codegen::wrapper {

// All of one reader are of one group: XREADGROUP takes one.
struct InputStream {
    std::string stream;
    std::string group;
};

class InputReader {
  public:
    using OnEntry = std::function<void(const InputStream& from, const redis::StreamEntry& entry)>;

    // `ready`: the groups exist and reading begins; at every (re)connection.
    InputReader(Loop& loop, const std::string& socket, std::vector<InputStream> streams, std::string consumer,
                std::function<void()> ready, OnEntry on_entry);
    ~InputReader();
    void start() { link_.start(); }
    void flush() { link_.flush(); }
    void stop() { stopped_ = true; }  // no entry is handed over any more
    // No new read while held. `at_once`: a read that waits is given up as well; what it may have got meanwhile is
    // taken.
    void hold(bool held, bool at_once = false);

  private:
    void make_groups();
    void read(bool pending);
    void take(const redis::Reply* reply, bool pending);
    void again(std::string_view error);

    Loop& loop_;
    const std::vector<InputStream> streams_;
    const std::string consumer_;
    const std::function<void()> ready_;
    const OnEntry on_entry_;
    RedisLink link_;
    std::size_t groups_left_ = 0;
    bool group_failed_ = false;
    bool stopped_ = false;
    bool held_ = false;
    bool read_wanted_ = false;
    bool waits_ = false;                     // in Redis, for something new
    std::vector<std::string> pending_from_;  // per stream: the next id of the pending entries to read
    Loop::TimerId retry_ = 0;
    std::chrono::steady_clock::time_point last_said_{};
};

}  // namespace codegen::wrapper
