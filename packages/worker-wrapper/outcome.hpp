// From what happened to a run, to what is reported (docs/protocols.md, "When a developer task succeeded"). Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "packages/worker-wrapper/agent_names.hpp"
#include "shared/contracts/vocabulary.hpp"

namespace codegen::wrapper {

// Why the wrapper ended the agent, when it did.
enum class Cut { none, timeout, cancelled, halted };

struct AgentEnd {
    std::optional<int> exit_code;
    std::optional<int> signal;
    bool by_sigkill() const { return signal == 9 || exit_code == 137; }
    int shell_code() const { return signal ? 128 + *signal : exit_code.value_or(-1); }
};

struct RunFacts {
    std::optional<std::string> start_error;  // the agent never ran
    Cut cut = Cut::none;
    std::int64_t timeout_seconds = 0;
    // What the gateway said when it ended the run (Cut::halted), or just after the agent had given up by itself.
    std::optional<contracts::FailureReason> halt_reason;
    std::string halt_error;
    AgentEnd end;
    bool oom_counter_rose = false;
    std::int64_t memory_limit = 0;  // bytes; 0: unknown
    bool needs_verdict = true;      // a Product Owner's answer needs none
    bool needs_final_record = false;
    StreamSummary summary;
    std::optional<contracts::AgentVerdict> verdict;
    std::string last_error_line;  // of stderr
    bool asked_again = false;     // a first run ended well without a verdict; this is of the second one
};

struct Outcome {
    contracts::ResultStatus status{};
    std::optional<contracts::FailureReason> reason;
    std::optional<std::string> error;
};

// `failed` when the agent itself said so, `timeout`, else `error`.
Outcome decide(const RunFacts& facts);

}  // namespace codegen::wrapper
