// Which workers to prepare before anybody asks for them: some of each kind that was asked for lately. Pure: it names
// bodies ("slots"), somebody else makes and ends them.
#pragma once
#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/timestamp.hpp"

namespace codegen::worker_manager {

class WarmPool {
  public:
    static constexpr std::size_t kKinds = 3;                // the last distinct ones
    static constexpr std::chrono::minutes kRemembered{30};  // since it was last asked for
    static constexpr std::chrono::seconds kPauseAfterFailure{10};

    explicit WarmPool(std::size_t each) : each_(each) {}  // of each kind; 0: nothing is ever prepared

    // A worker of this kind was wanted, and it can be prepared.
    void asked(const std::string& kind, Timestamp now);
    // A prepared one leaves the pool, if there is one.
    std::optional<std::string> take(const std::string& kind);

    struct Moves {
        std::vector<std::string> make;  // kinds, one entry for each body; answered by made() or not_made()
        std::vector<std::string> drop;  // slots that left the pool
    };
    // `room`: how many may stand prepared now, those in the making counted.
    Moves advance(Timestamp now, std::size_t room);

    void made(const std::string& kind, std::string slot);
    void not_made(const std::string& kind, Timestamp now);
    void lost(const std::string& slot, Timestamp now);  // it ended by itself; unknown: no effect

    std::size_t standing() const;  // prepared or in the making

  private:
    struct Kind {
        std::string name;
        Timestamp asked{};
        Timestamp not_before{};
        std::size_t making = 0;
        std::deque<std::string> slots;  // oldest first
    };
    Kind* find(const std::string& name);

    const std::size_t each_;
    std::deque<Kind> kinds_;   // last asked for first
    std::size_t orphans_ = 0;  // in the making, of kinds that were forgotten
};

}  // namespace codegen::worker_manager
