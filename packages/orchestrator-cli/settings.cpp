#include "packages/orchestrator-cli/settings.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "packages/orchestrator-cli/permissions.hpp"
#include "shared/posix/file.hpp"

namespace codegen::cli {
namespace {

std::optional<std::string> first_of(const Environment& environment, std::initializer_list<std::string_view> names) {
    for (const auto name : names)
        if (auto value = environment(name)) return value;
    return {};
}

Result<std::string> read_state_file(const Settings& settings, std::string_view name, std::string_view variable) {
    const auto path = settings.state_directory / name;
    auto content = posix::read_file(path, 4096);
    if (content) {
        while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) content->pop_back();
        return content;
    }
    if (content.error().code == "not_found")
        return fail(ErrorCategory::transient, "unavailable",
                    fmt::format("the control plane is not running ({} does not exist): {}", path.string(), kWayOut));
    return fail(
        ErrorCategory::permanent, "forbidden",
        fmt::format("{}: set {}, or use the account that runs the control plane", content.error().message, variable));
}

}  // namespace

Environment process_environment() {
    return [](std::string_view name) -> std::optional<std::string> {
        const char* value = std::getenv(std::string(name).c_str());
        return value && *value ? std::optional<std::string>(value) : std::nullopt;
    };
}

std::filesystem::path default_state_directory(const Environment& environment, bool root) {
    if (const auto given = environment("CODEGEN_STATE_DIR")) return *given;
    if (root) return "/var/lib/codegen";
    if (const auto xdg = environment("XDG_STATE_HOME")) return std::filesystem::path(*xdg) / "codegen";
    const auto home = environment("HOME");
    return home ? std::filesystem::path(*home) / ".local/state/codegen" : std::filesystem::path();
}

Settings load_settings(Environment environment, bool root) {
    Settings settings;
    if (const auto gateway = environment("CODEGEN_GATEWAY")) settings.gateway = *gateway;
    settings.state_directory = default_state_directory(environment, root);
    if (settings.gateway) {
        settings.api_url = "http+unix://" + (*settings.gateway / "http.sock").string();
    } else if (const auto url = first_of(environment, {"API_URL", "ORCHESTRATOR_API_URL"})) {
        settings.api_url = *url;
        settings.api_url_given = true;
    } else {
        settings.api_url = "http+unix://" + (settings.state_directory / "api.sock").string();
    }
    const auto allowed = first_of(environment, {"ALLOWED_COMMANDS", "ORCHESTRATOR_ALLOWED_TOOLS"});
    if (allowed)
        settings.allowed_commands = parse_allowed_commands(*allowed);
    else if (settings.gateway)
        settings.allowed_commands.emplace();  // nothing: missing means all only outside a worker
    settings.environment = std::move(environment);
    return settings;
}

Result<std::string> load_token(const Settings& settings) {
    if (settings.inside_worker()) return std::string();
    if (auto token = settings.environment("ORCHESTRATOR_TOKEN")) return std::move(*token);
    return read_state_file(settings, "admin.token", "ORCHESTRATOR_TOKEN");
}

Result<std::string> load_redis_url(const Settings& settings) {
    if (settings.inside_worker()) return fail(ErrorCategory::permanent, "forbidden", "a worker has no access to Redis");
    if (auto url = first_of(settings.environment, {"REDIS_URL", "ORCHESTRATOR_REDIS_URL"})) return std::move(*url);
    return read_state_file(settings, "redis.url", "REDIS_URL");
}

}  // namespace codegen::cli
