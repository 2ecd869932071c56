// What an agent prints, turned into events, usage and its own final record. Each agent brings its parser (agents/);
// pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/agents/verdict.hpp"
#include "shared/contracts/queues/agent.hpp"
#include "shared/contracts/vocabulary.hpp"

namespace codegen::agents {

struct StreamEvent {
    contracts::AgentEventKind kind{};
    std::optional<std::string> text;
    std::optional<boost::json::object> data;
};

// The agent's own final record. Exit codes lie: only this says whether it ended well (docs: agents).
struct FinalRecord {
    bool success = false;
    std::optional<contracts::FailureReason> reason;  // when not: provider_error, budget or agent_failure
    std::string error;
};

// What a whole run said, besides its events.
struct StreamSummary {
    std::optional<FinalRecord> final_record;
    std::optional<contracts::AgentUsage> usage;          // of this run
    std::optional<contracts::AgentUsage> session_usage;  // of the whole conversation, when the program counts so
    std::optional<std::string> session_id;
    std::string last_text;                        // the agent's last own text, shortened
    std::optional<std::string> provider_trouble;  // the last failed model request, if nothing succeeded after it
};

class AgentStream {
  public:
    virtual ~AgentStream() = default;
    // One line of stdout, valid UTF-8. `cut`: it was longer than the limit and has lost its end.
    virtual std::vector<StreamEvent> line(std::string_view text, bool cut) = 0;
    virtual bool final_record_expected() const = 0;  // custom: the exit code is the record
    const StreamSummary& summary() const { return summary_; }
    const std::optional<contracts::AgentVerdict>& verdict() const { return finder_.verdict(); }

  protected:
    StreamSummary summary_;
    VerdictFinder finder_;
};

inline constexpr std::size_t kLongestLine = 16u << 20;       // of stdout; a line may hold a whole file
inline constexpr std::size_t kLongestEventText = 64u << 10;  // what one event carries

}  // namespace codegen::agents
