// orchestrator: the command for agents and people.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include "packages/orchestrator-cli/command.hpp"
#include "packages/orchestrator-cli/permissions.hpp"
#include "shared/logging/log.hpp"

namespace codegen::cli {
namespace {

constexpr std::string_view kFooter = R"(Examples:
  orchestrator project create --name shop
  orchestrator engineering start --project ID --spec 'Write a README' --follow
  orchestrator engineering status TASK

Output: tables on a terminal, otherwise one JSON object: {"success":true,"data":...,"message":...}.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 permission denied, 4 not found, 5 system unavailable, 6 timed out.
Environment: CODEGEN_STATE_DIR, API_URL, REDIS_URL, ORCHESTRATOR_TOKEN, ALLOWED_COMMANDS, NO_COLOR.)";

Outcome carry_out(const Command& command, const Settings& settings, const OutputMode& mode) {
    if (settings.allowed_commands && !is_allowed(*settings.allowed_commands, command.permission))
        return std::unexpected(Failure{
            "permission_denied", fmt::format("this caller may not use \"{}\"", command.permission), {}, kDenied});
    asio::io_context io(1);
    std::optional<Outcome> outcome;
    asio::co_spawn(io, command.run({std::make_shared<Session>(io.get_executor(), settings), mode}),
                   [&](std::exception_ptr error, Outcome result) {
                       if (error) std::rethrow_exception(error);
                       outcome = std::move(result);
                       io.stop();  // kept connections have nothing more to say
                   });
    io.run();
    return outcome ? std::move(*outcome)
                   : std::unexpected(Failure{"internal", "the command did not come to an end", {}, kFailed});
}

int run(int argc, char** argv) {
    CLI::App app("Codegen Orchestrator: give coding agents tasks, get verified commits", "orchestrator");
    app.set_version_flag("--version", "orchestrator " CODEGEN_VERSION);
    app.footer(std::string(kFooter));
    app.require_subcommand(1);
    app.fallthrough();
    bool json_wanted = false;
    bool text_wanted = false;
    auto* json_flag = app.add_flag("--json", json_wanted, "JSON, also on a terminal");
    app.add_flag("--text", text_wanted, "Text for people, also when piped")->excludes(json_flag);

    Chosen chosen;
    add_project_commands(app, chosen);
    add_engineering_commands(app, chosen);
    add_agent_commands(app, chosen);
    add_diagnose_commands(app, chosen);
    add_worker_commands(app, chosen);
    add_image_commands(app, chosen);

    const auto settings = load_settings(process_environment(), ::geteuid() == 0);
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    const auto mode = [&] {
        OutputMode out;
        out.json = json_wanted || (!terminal && !text_wanted);
        out.colour = terminal && !out.json && !settings.environment("NO_COLOR");
        return out;
    };
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
        auto failure = usage(error.what());
        if (!mode().json) failure.message += "\nsee orchestrator --help";
        return print(mode(), std::unexpected(std::move(failure)), settings.allowed_commands);
    }
    return print(mode(), carry_out(*chosen, settings, mode()), settings.allowed_commands);
}

}  // namespace
}  // namespace codegen::cli

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    // What goes wrong is in the answer; the log is for what nobody expected.
    codegen::log::setup(codegen::log::Level::error, codegen::log::Format::console, "orchestrator");
    try {
        return codegen::cli::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "orchestrator: %s\n", error.what());
        return codegen::cli::kFailed;
    }
}
