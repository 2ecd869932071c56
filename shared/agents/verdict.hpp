// The verdict in the agent's own text: the first <result>{...}</result> that holds a valid AgentVerdict. Text arrives
// in pieces of any size. A block that is no verdict (an agent that quotes its instructions) is passed over. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "shared/contracts/queues/agent.hpp"

namespace codegen::agents {

class VerdictFinder {
  public:
    void feed(std::string_view text);
    const std::optional<contracts::AgentVerdict>& verdict() const { return verdict_; }

  private:
    std::string pending_;  // from the last "<result>" on, or the tail that may begin one
    std::optional<contracts::AgentVerdict> verdict_;
};

// verdict.data.commit_sha, .commit or .sha: what the agent claims to have committed. Lower-case hex, 7 to 64 digits.
std::optional<std::string> claimed_commit(const contracts::AgentVerdict& verdict);

}  // namespace codegen::agents
