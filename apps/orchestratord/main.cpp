// orchestratord: the control plane. Exit codes: 0 stopped cleanly, 1 a fatal error (one clear line), 2 wrong usage.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "apps/orchestratord/components.hpp"
#include "apps/orchestratord/configuration.hpp"
#include "apps/orchestratord/consumers.hpp"
#include "apps/orchestratord/control_plane.hpp"
#include "apps/orchestratord/maintenance.hpp"
#include "services/api/service.hpp"
#include "shared/command_line/usage.hpp"

namespace {

using namespace codegen;
using namespace codegen::orchestratord;

std::optional<std::string> environment(std::string_view name) {
    const char* value = std::getenv(std::string(name).c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
}

// The flags that settings have, collected by setting name.
void add_setting_flags(CLI::App& command, std::map<std::string, std::string>& flags,
                       std::initializer_list<std::string_view> only = {}) {
    for (const auto& s : settings()) {
        if (s.flag.empty() || (only.size() > 0 && std::ranges::find(only, s.name) == only.end())) continue;
        auto text = std::string(s.meaning);
        if (!s.choices.empty()) text += fmt::format(" ({})", s.choices);
        if (!s.fallback.empty()) text += fmt::format(" [{}]", s.fallback);
        command.add_option_function<std::string>(
            std::string(s.flag),
            [&flags, name = std::string(s.name)](const std::string& value) { flags[name] = value; }, text);
    }
}

// A worker costs about eight descriptors; the usual 1024 would end at some 120 workers.
void allow_many_open_files() {
    constexpr rlim_t kEnough = 65536;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kEnough) return;
    limit.rlim_cur = std::min(limit.rlim_max, kEnough);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

int report(const Result<void>& outcome) {
    if (outcome) return 0;
    fmt::print(stderr, "orchestratord: {}\n", outcome.error().message);
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "The control plane of Codegen Orchestrator.\n"
        "Example: orchestratord dev            everything in one process, on one directory\n"
        "         orchestratord serve --role api --role workflow --redis-url redis://redis:6379",
        "orchestratord"};
    app.set_version_flag("--version", "orchestratord " CODEGEN_VERSION);
    app.require_subcommand(1);

    std::map<std::string, std::string> flags;
    std::optional<std::filesystem::path> file;
    ControlPlaneOptions options;

    auto* dev =
        app.add_subcommand("dev", "all roles in one process: SQLite file, private redis-server, one state directory");
    auto* serve = app.add_subcommand("serve", "the named roles; several processes share one database and Redis");
    for (auto* command : {dev, serve}) {
        command->add_option("--config", file, "YAML file with settings [/etc/codegen/config.yaml if it exists]");
        command->add_option("--ready-fd", options.ready_fd,
                            "write one line about the runtime to this descriptor once everything answers");
        command->add_option("--ready-file", options.ready_file, "the same, into a file made for it");
        add_setting_flags(*command, flags);
    }
    serve->add_option("--role", options.roles, fmt::format("{}; several times", fmt::join(role_names(), ", ")))
        ->required()
        ->check(CLI::IsMember(std::vector<std::string>(role_names().begin(), role_names().end())));
    std::filesystem::path target;
    bool force = false;
    auto* backup = app.add_subcommand(
        "backup", "write the whole database into FILE, also while it is used; the key for secrets is not in it");
    backup->add_option("FILE", target, "made by this; must not exist")->required();
    auto* restore =
        app.add_subcommand("restore", "put a backup back; every control plane on the database must be stopped");
    restore->add_option("FILE", target, "what `backup` has written")->required();
    restore->add_flag("--force", force, "replace everything in a database that is not empty");
    auto* secrets = app.add_subcommand("secrets", "the key that secrets in the database are encrypted with");
    secrets->require_subcommand(1);
    auto* rotate = secrets->add_subcommand(
        "rotate", "encrypt all secrets with a new key; start the api again afterwards. Repeat it when it was cut off");
    rotate->add_option("--new-key-file", target,
                       "the new key, made when the file does not exist; needed with SECRETS_KEY or SECRETS_KEY_FILE");
    for (auto* command : {backup, restore, rotate}) {
        command->add_option("--config", file, "YAML file with settings [/etc/codegen/config.yaml if it exists]");
        add_setting_flags(*command, flags, {"CODEGEN_STATE_DIR", "DATABASE_URL", "LOG_LEVEL", "LOG_FORMAT"});
    }
    auto* consumers = app.add_subcommand("consumers", "every stream that is consumed, as JSON");
    auto* openapi = app.add_subcommand("openapi", "what the API answers at /openapi.json");
    auto* list_settings = app.add_subcommand("settings", "every setting, as the page docs/configuration.md");

    const auto refuse = [](const command_line::Misuse& misuse) {
        fmt::print(stderr, "orchestratord: {}\nsee {} --help\n", misuse.message, misuse.command);
        return 2;
    };
    if (const auto forgotten = command_line::forgotten_value(app, argc, argv)) return refuse(*forgotten);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
        return refuse(command_line::explain(app, error));
    }
    if (*consumers) {
        fmt::print("{}\n", consumers_json());
        return 0;
    }
    if (*openapi) {
        fmt::print("{}", api::openapi_document());
        return 0;
    }
    if (*list_settings) {
        fmt::print("{}", settings_markdown());
        return 0;
    }
    auto configuration = Configuration::load(flags, environment, file);
    if (!configuration) return report(std::unexpected(configuration.error()));
    if (*backup) return report(back_up(*configuration, environment, target));
    if (*restore) return report(put_back(*configuration, environment, target, force));
    if (*rotate) return report(rotate_secrets(*configuration, environment, target));
    options.dev = static_cast<bool>(*dev);
    allow_many_open_files();
    return report(run_control_plane(*configuration, environment, std::move(options)));
}
