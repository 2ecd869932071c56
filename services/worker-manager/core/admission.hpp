// Who gets a slot, in the order of asking. Pure.
#pragma once
#include <chrono>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shared/base/timestamp.hpp"

namespace codegen::worker_manager {

class Admission {
  public:
    Admission(std::size_t slots, std::chrono::milliseconds patience) : slots_(slots), patience_(patience) {}

    void ask(const std::string& worker_id, Timestamp since);  // again, or while it holds a slot: no effect
    void hold(const std::string& worker_id);   // a worker that already lives (adoption); may exceed the slots
    void leave(const std::string& worker_id);  // gives the slot or the place back; unknown: no effect

    struct Moves {
        std::vector<std::string> admitted;
        std::vector<std::string> expired;  // waited too long: no_capacity
    };
    Moves advance(Timestamp now);
    std::optional<Timestamp> next_expiry() const;

    std::vector<std::string> waiting() const;  // in order
    std::size_t in_use() const { return holders_.size(); }
    std::size_t slots() const { return slots_; }

  private:
    struct Waiting {
        std::string worker_id;
        Timestamp since;
    };
    const std::size_t slots_;
    const std::chrono::milliseconds patience_;
    std::set<std::string> holders_;
    std::deque<Waiting> queue_;
};

}  // namespace codegen::worker_manager
