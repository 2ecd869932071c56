#include "shared/agents/custom/custom.hpp"

#include "shared/agents/record.hpp"
#include "shared/agents/text.hpp"
#include "shared/sandbox/bwrap_command.hpp"

namespace codegen::agents {
namespace {

class CustomStream final : public AgentStream {
  public:
    std::vector<StreamEvent> line(std::string_view text, bool cut) override {
        finder_.feed(text);
        if (!cut) finder_.feed("\n");
        summary_.last_text = shortened(text, kLongestEventText);
        return {text_event(contracts::AgentEventKind::text, text)};
    }
    bool final_record_expected() const override { return false; }
};

}  // namespace

std::unique_ptr<const Agent> make_custom() { return std::make_unique<Custom>(); }

const Description& Custom::description() const {
    static const Description description{.version = "", .program = "", .profile = ".login"};
    return description;
}

Result<void> Custom::check(const contracts::WrapperConfig& config) const {
    if (!config.command.empty()) return {};
    return fail(ErrorCategory::fatal, "invalid", "command: empty, a custom agent needs the command to run", "command");
}

void Custom::plan(const contracts::WrapperConfig& config, const Job&, const std::string&, LaunchPlan& plan) const {
    plan.argv = config.command;
    if (!config.instructions.empty())
        plan.files.push_back({std::string(sandbox::kHomeInside) + "/AGENTS.md", config.instructions});
}

std::unique_ptr<AgentStream> Custom::stream(std::optional<contracts::AgentUsage>) const {
    return std::make_unique<CustomStream>();
}

}  // namespace codegen::agents
