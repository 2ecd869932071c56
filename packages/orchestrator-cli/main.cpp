// orchestrator: the command for agents and people.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include "packages/orchestrator-cli/command_tree.hpp"
#include "packages/orchestrator-cli/permissions.hpp"
#include "shared/base/ids.hpp"
#include "shared/logging/context.hpp"
#include "shared/logging/log.hpp"

namespace codegen::cli {
namespace {

Outcome carry_out(const Command& command, const Settings& settings, const OutputMode& mode) {
    // An empty permission: nothing of the control plane is touched.
    if (settings.allowed_commands && !command.permission.empty() &&
        !is_allowed(*settings.allowed_commands, command.permission))
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
    CommandTree tree;
    const auto settings = load_settings(process_environment(), ::geteuid() == 0);
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    const auto mode = [&] {
        OutputMode out;
        out.json = tree.json_wanted() || (!terminal && !tree.text_wanted());
        out.colour = terminal && !out.json && !settings.environment("NO_COLOR");
        return out;
    };
    const auto refuse = [&](const command_line::Misuse& misuse) {
        auto failure = usage(misuse.message);
        if (!mode().json) failure.message += fmt::format("\nsee {} --help", misuse.command);
        return print(mode(), std::unexpected(std::move(failure)), settings.allowed_commands);
    };
    if (const auto forgotten = command_line::forgotten_value(tree.app(), argc, argv)) return refuse(*forgotten);
    try {
        tree.app().parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return tree.app().exit(error);  // --help, --version
        return refuse(command_line::explain(tree.app(), error));
    }
    // What is asked of others is on behalf of whoever called this, or a trace of its own.
    const log::Within within(log::make_context(settings.environment("TRACEPARENT").value_or(""),
                                               settings.environment("CORRELATION_ID").value_or(new_uuid()), true));
    return print(mode(), carry_out(*tree.chosen(), settings, mode()), settings.allowed_commands);
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
