#include "shared/agents/factory/factory.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <optional>

#include "shared/agents/job.hpp"
#include "shared/sandbox/bwrap_command.hpp"

namespace codegen::agents {
namespace {

using boost::json::object;

// It prints its prompt first, and when it ends it waits only so long for a reader: what is still in its own buffers
// then, its final record too, is lost. A long prompt is a file, and its stream stays short.
constexpr std::size_t kLongestPrompt = 30000;

std::string home() { return std::string(sandbox::kHomeInside) + "/.factory"; }
std::string prompt_file() { return home() + "/task.md"; }

struct Choice {
    std::string provider;  // also the name of droid's own setting
    std::string model;
};

bool has_key(const contracts::WrapperConfig& config, std::string_view provider) {
    return std::ranges::find(config.providers, provider) != config.providers.end();
}

// nullopt: Factory's own models. Else by the model's name when one is given, or by the key that the operator has; droid
// has no default for models that are not its own.
std::optional<Choice> choice(const contracts::WrapperConfig& config) {
    if (config.login || has_key(config, "factory")) return std::nullopt;
    const bool only_openai = has_key(config, "openai") && !has_key(config, "anthropic");
    if (!config.model) return only_openai ? Choice{"openai", "gpt-5.4"} : Choice{"anthropic", "claude-sonnet-4-5"};
    const std::string& model = *config.model;
    const bool of_openai = model.starts_with("gpt") || model.contains("codex") ||
                           (model.size() > 1 && model[0] == 'o' && std::isdigit(static_cast<unsigned char>(model[1])));
    if (model.starts_with("claude")) return Choice{"anthropic", model};
    return Choice{of_openai || only_openai ? "openai" : "anthropic", model};
}

}  // namespace

std::unique_ptr<const Agent> make_factory() { return std::make_unique<Factory>(); }

const Description& Factory::description() const {
    static const Description description{
        .version = "0.215.0",
        .program = "droid",
        .memory_bytes = 2ll << 30,
        .memory_note = "about 0.45 GB for itself",
        .profile = ".factory",
        .login_hosts = {"api.factory.ai:443", "app.factory.ai:443", "api.workos.com:443"}};
    return description;
}

std::string Factory::input(const Job& job) const {
    return job.prompt.size() <= kLongestPrompt ? job.prompt : pointer_to(prompt_file(), job);
}

std::map<std::string, std::string> Factory::environment(const contracts::WrapperConfig& config,
                                                        const std::string& loopback) const {
    if (config.login) return {};
    const std::string own = loopback + "/model/factory";
    return {
        {"FACTORY_API_KEY", "placeholder"}, {"FACTORY_API_BASE_URL", own}, {"FACTORY_TELEMETRY_INGEST_BASE_URL", own}};
}

void Factory::plan(const contracts::WrapperConfig& config, const Job& job, const std::string& session_id,
                   LaunchPlan& plan) const {
    // Without a prompt among its arguments it reads it from standard input. An id that it does not know begins anew.
    plan.argv = {*config.agent_program, "exec", "-o", "stream-json", "--skip-permissions-unsafe"};
    object settings{{"cloudSessionSync", false}};
    if (const auto custom = choice(config)) {
        const std::string url = "http://127.0.0.1:" + std::to_string(config.loopback_port) + "/model/" +
                                custom->provider + (custom->provider == "openai" ? "/v1" : "");
        settings["customModels"] = boost::json::array{object{{"model", custom->model},
                                                             {"displayName", custom->model},
                                                             {"baseUrl", url},
                                                             {"apiKey", "placeholder"},
                                                             {"provider", custom->provider},
                                                             {"maxOutputTokens", 32000}}};
        plan.argv.insert(plan.argv.end(), {"--model", "custom:" + custom->model});
    } else if (config.model) {
        plan.argv.insert(plan.argv.end(), {"--model", *config.model});
    }
    plan.session = PlannedSession{
        home() + "/sessions", session_id + ".jsonl", {"--session-id", session_id}, {"--session-id", session_id}};
    if (!config.login)  // else they are the login's own
        plan.files.push_back({home() + "/settings.json", boost::json::serialize(settings)});
    if (job.prompt.size() > kLongestPrompt) plan.files.push_back({prompt_file(), job.prompt});
    if (!config.instructions.empty()) plan.files.push_back({home() + "/AGENTS.md", config.instructions});
}

}  // namespace codegen::agents
