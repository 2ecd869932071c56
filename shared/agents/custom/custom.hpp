// Any command: it reads its prompt from standard input, and every line it prints is its own text. Its exit code is its
// final record.
#pragma once
#include "shared/agents/makers.hpp"

namespace codegen::agents {

class Custom final : public Agent {
  public:
    const Description& description() const override;
    Result<void> check(const contracts::WrapperConfig& config) const override;
    void plan(const contracts::WrapperConfig& config, const Job& job, const std::string& session_id,
              LaunchPlan& plan) const override;
    SessionRule session_rule() const override { return SessionRule::none; }
    std::unique_ptr<AgentStream> stream(std::optional<contracts::AgentUsage> before) const override;
};

}  // namespace codegen::agents
