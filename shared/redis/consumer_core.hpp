// What a consumer does with each entry, without I/O: how often it was tried, when again, when it is a dead letter. The
// shell (consumer.cpp) feeds events and does the actions. Entries are known by their stream id.
//
// An entry in hand is: ready (may start) -> running -> retrying (a timer runs, it stays pending in Redis) -> ready ...
// -> settling (acknowledge or dead letter is under way) -> gone. An entry that was pending at the death of a process is
// a suspect: it is not taken (no delivery is counted) before it starts, and suspects run one at a time, so that a
// message that kills its process is not joined in its deaths by the same innocent ones again.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/retry.hpp"

namespace codegen::redis {

using SteadyTime = std::chrono::steady_clock::time_point;

struct CoreOptions {
    std::size_t concurrency = 16;  // entries running at once
    std::size_t in_hand = 256;     // ready, running, retrying and settling together; suspects are only ids
    int deaths = 3;                // deliveries that ended with the consumer's death: then a dead letter
};

// What comes next for an entry whose handler has ended.
struct Verdict {
    enum class Kind { acknowledge, retry, dead_letter, stop } kind = Kind::acknowledge;
    int attempts = 1;
    std::chrono::milliseconds wait{0};  // retry
};

class ConsumerCore {
  public:
    ConsumerCore(CoreOptions options, RetryPolicy policy);

    // How many new entries may be read now.
    std::size_t room() const;

    // Read as new, its content in the shell's hand. False: in hand already (Redis lost that it was delivered).
    bool on_new(const std::string& id);
    // Found pending in Redis with nobody working on it; `deaths`: deliveries that ended with a death. False: known
    // already.
    bool on_found(const std::string& id, int deaths);

    struct Start {
        std::string id;
        bool fetch = false;        // found: take it over (XCLAIM with `deaths` + 1 deliveries) and read its content
        bool dead_letter = false;  // too many deaths: take it over, then dead letter; the entry is settling
        int attempt = 1;
        int deaths = 0;
    };
    // The entries to start now; they are running afterwards.
    std::vector<Start> start(SteadyTime now);
    // A found entry is not there any more (deleted, or another consumer was faster), or could not be taken over:
    // forgotten; a later look finds it again.
    void on_vanished(const std::string& id);

    // A start with `dead_letter` was read: it settles without being handled.
    void on_condemned(const std::string& id);
    // The handler ended. `error`: nullptr for success.
    Verdict on_handled(const std::string& id, const Error* error, SteadyTime now);
    void on_settled(const std::string& id);  // acknowledged or dead-lettered

    // When start() may have something again although nothing happens; nullopt: never.
    std::optional<SteadyTime> next_wake() const;
    bool holds(const std::string& id) const { return entries_.contains(id); }
    std::size_t running() const { return running_; }
    std::size_t size() const { return entries_.size(); }
    // In hand and not settling, with the deliveries that count as deaths: what a graceful stop gives back.
    std::vector<std::pair<std::string, int>> unfinished() const;
    std::vector<std::string> taken() const;  // delivered to us and not gone: to be kept from looking abandoned

  private:
    enum class State { ready, running, retrying, settling };
    struct Entry {
        State state = State::ready;
        bool fetched = true;
        int attempt = 1;
        int deaths = 0;
        SteadyTime due{};
    };

    const CoreOptions options_;
    const RetryPolicy policy_;
    std::map<std::string, Entry> entries_;
    std::deque<std::string> ready_;     // found without deaths, and new ones, in order
    std::deque<std::string> suspects_;  // found with deaths
    std::multimap<SteadyTime, std::string> retries_;
    std::string running_suspect_;  // empty: none
    std::size_t running_ = 0;
    std::size_t taken_ = 0;  // fetched entries
};

// Dead letter fields (docs/protocols.md, "Errors, retries, dead letters").
struct DeadLetter {
    std::string original_message;
    std::string error_context;  // JSON
};
struct DeadLetterContext {
    std::string error;
    ErrorCategory category = ErrorCategory::permanent;
    std::string timestamp;
    std::string service;
    int attempts = 1;
    std::string stream;
    std::string entry_id;
};
DeadLetter make_dead_letter(std::string original_message, const DeadLetterContext& context);

// True at most once a second.
class OncePerSecond {
  public:
    bool operator()(SteadyTime now) {
        if (last_ && now - *last_ < std::chrono::seconds(1)) return false;
        last_ = now;
        return true;
    }

  private:
    std::optional<SteadyTime> last_;
};

}  // namespace codegen::redis
