// Factory Droid. With a key of Factory it has Factory's own models, else those of the operator's Anthropic or OpenAI
// key, as "custom models".
#pragma once
#include "shared/agents/makers.hpp"

namespace codegen::agents {

class Factory final : public Agent {
  public:
    const Description& description() const override;
    std::map<std::string, std::string> environment(const contracts::WrapperConfig& config,
                                                   const std::string& loopback) const override;
    std::string input(const Job& job) const override;
    void plan(const contracts::WrapperConfig& config, const Job& job, const std::string& session_id,
              LaunchPlan& plan) const override;
    SessionRule session_rule() const override { return SessionRule::chosen; }
    std::unique_ptr<AgentStream> stream(std::optional<contracts::AgentUsage> before) const override;
};

}  // namespace codegen::agents
