#include "shared/agents/codex/codex.hpp"

#include <fmt/format.h>

#include "shared/agents/job.hpp"
#include "shared/sandbox/bwrap_command.hpp"

namespace codegen::agents {
namespace {

// Its provider can be set in this file only. Retries: each of the streams tries again as often as each of the requests,
// so that 3 and 2 are 12 requests at most. 429 it does not try again at all.
constexpr std::string_view kConfig = R"(model_provider = "gateway"
check_for_update_on_startup = false

[model_providers.gateway]
name = "gateway"
base_url = "http://127.0.0.1:{}/model/openai/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
request_max_retries = 3
stream_max_retries = 2

[analytics]
enabled = false

[features]
plugins = false

# What a repository brings along configures nothing.
[projects."{}"]
trust_level = "untrusted"
)";

// It refuses a prompt of more than 1048576 characters.
constexpr std::size_t kLongestPrompt = 1000000;

std::string home() { return std::string(sandbox::kHomeInside) + "/.codex"; }
std::string prompt_file() { return home() + "/task.md"; }

}  // namespace

std::unique_ptr<const Agent> make_codex() { return std::make_unique<Codex>(); }

const Description& Codex::description() const {
    static const Description description{
        .version = "0.169.0",
        .program = "codex",
        .companions = {"codex-code-mode-host"},
        .memory_bytes = 1536ll << 20,
        .memory_note = "about 0.2 GB for itself",
        .profile = ".codex",
        .login_hosts = {"chatgpt.com:443", "auth.openai.com:443", "api.openai.com:443"}};
    return description;
}

std::string Codex::input(const Job& job) const {
    return job.prompt.size() <= kLongestPrompt ? job.prompt : pointer_to(prompt_file(), job);
}

std::map<std::string, std::string> Codex::environment(const contracts::WrapperConfig& config,
                                                      const std::string&) const {
    if (config.login) return {};
    return {{"OPENAI_API_KEY", "placeholder"}};
}

void Codex::plan(const contracts::WrapperConfig& config, const Job& job, const std::string& session_id,
                 LaunchPlan& plan) const {
    plan.argv = {*config.agent_program, "exec", "--json", "--skip-git-repo-check",
                 "--dangerously-bypass-approvals-and-sandbox"};
    if (config.model) plan.argv.insert(plan.argv.end(), {"--model", *config.model});
    // "-": the prompt is on standard input. An id that it does not know would be an error.
    plan.session = PlannedSession{home() + "/sessions", {}, {"resume", session_id, "-"}, {"-"}};
    if (!session_id.empty()) plan.session->ending = "-" + session_id + ".jsonl";
    if (config.login)  // config.toml is the login's own
        plan.argv.insert(plan.argv.end(),
                         {"-c", "check_for_update_on_startup=false", "-c",
                          fmt::format(R"(projects."{}".trust_level="untrusted")", sandbox::kWorkspaceInside)});
    else
        plan.files.push_back(
            {home() + "/config.toml", fmt::format(kConfig, config.loopback_port, sandbox::kWorkspaceInside)});
    if (job.prompt.size() > kLongestPrompt) plan.files.push_back({prompt_file(), job.prompt});
    if (!config.instructions.empty()) plan.files.push_back({home() + "/AGENTS.md", config.instructions});
}

}  // namespace codegen::agents
