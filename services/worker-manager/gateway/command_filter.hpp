// What of one client connection's commands goes to Redis. Pure.
#pragma once
#include <string>
#include <string_view>

#include "shared/resp/resp.hpp"

namespace codegen::worker_manager {

// A refused command is replaced by one that Redis does not know and whose name says what happened, e.g.
// CODEGEN-GATEWAY-REFUSES-AUTH: so the error reply stands in its place among the replies, whatever is under way.
class CommandFilter {
  public:
    struct Passed {
        std::string bytes;  // whole commands, encoded again
        bool ends = false;  // what follows cannot be understood: nothing more is taken
        std::size_t refused = 0;
    };
    Passed feed(std::string_view bytes);

  private:
    void take(const redis::Reply& command, Passed& passed) const;

    redis::ReplyReader reader_;
    std::size_t unfinished_ = 0;  // bytes since the last whole command
    bool ended_ = false;
};

}  // namespace codegen::worker_manager
