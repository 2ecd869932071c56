// Who may start, in the order of asking: when there is a slot and, where the caller knows it, the memory. Pure.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shared/base/timestamp.hpp"

namespace codegen::worker_manager {

class Admission {
  public:
    Admission(std::size_t slots, std::chrono::milliseconds patience) : slots_(slots), patience_(patience) {}

    // `memory`: bytes that it may take. Again, or while it holds a slot: no effect.
    void ask(const std::string& worker_id, Timestamp since, std::int64_t memory = 0);
    void hold(const std::string& worker_id);     // a worker that already lives (adoption); may exceed the slots
    void settled(const std::string& worker_id);  // it runs: what it takes is seen in the available memory from now on
    void leave(const std::string& worker_id);    // gives the slot or the place back; unknown: no effect

    struct Moves {
        std::vector<std::string> admitted;
        std::vector<std::string> expired;  // waited too long: no_capacity
    };
    // `available`: memory of the host now; absent: not looked at. Nobody overtakes: when the first does not fit, those
    // behind it wait too.
    Moves advance(Timestamp now, std::optional<std::int64_t> available = {});
    std::optional<Timestamp> next_expiry() const;
    // As of the last advance() the first one has a slot, but not the memory: look again soon.
    bool wants_memory() const { return wants_memory_; }

    std::vector<std::string> waiting() const;  // in order
    std::size_t in_use() const { return holders_.size(); }
    std::size_t slots() const { return slots_; }

  private:
    struct Waiting {
        std::string worker_id;
        Timestamp since;
        std::int64_t memory = 0;
    };
    const std::size_t slots_;
    const std::chrono::milliseconds patience_;
    std::set<std::string> holders_;
    std::map<std::string, std::int64_t> promised_;  // admitted, not settled
    std::deque<Waiting> queue_;
    bool wants_memory_ = false;
};

}  // namespace codegen::worker_manager
