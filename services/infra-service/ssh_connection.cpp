#include "services/infra-service/ssh_connection.hpp"

#include <fmt/format.h>

#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"

namespace codegen::infra {
namespace {

using namespace std::chrono_literals;

constexpr auto kLogin = 30s;
constexpr auto kKeyTool = 30s;
constexpr std::size_t kOutput = 1u << 20;

// The key comes through standard input. A file without a newline at its end gets one first.
constexpr std::string_view kInstallKey =
    "umask 077; IFS= read -r key || exit 1; mkdir -p ~/.ssh && touch ~/.ssh/authorized_keys || exit 1; "
    "grep -qxF \"$key\" ~/.ssh/authorized_keys && exit 0; "
    "[ -z \"$(tail -c 1 ~/.ssh/authorized_keys)\" ] || echo >> ~/.ssh/authorized_keys; "
    "printf '%s\\n' \"$key\" >> ~/.ssh/authorized_keys";

Error missing(const Error& error, std::string_view program) {
    if (error.code != "spawn") return error;
    return {ErrorCategory::permanent,
            "missing",
            fmt::format("{} is not on the host that runs infra-service: apt-get install openssh-client ({})", program,
                        error.message),
            {}};
}

Error error_of(const SshTarget& target, const process::Outcome& outcome) {
    const auto where = fmt::format("server {} ({}:{})", target.handle, target.address, target.port);
    if (outcome.end == process::Outcome::End::timeout)
        return {ErrorCategory::transient, std::string(kUnreachable), where + ": SSH: no answer in time", {}};
    const auto reason = ssh_reason(outcome.errors);
    switch (trouble_of(outcome.code, outcome.errors)) {
        case SshTrouble::host_key_changed:
            return {ErrorCategory::permanent,
                    std::string(kHostKeyChanged),
                    fmt::format(
                        "{}: its host key is not the one that was seen before: somebody else may answer there. If the "
                        "server was installed anew: orchestrator infra server provision {} --new-host-key",
                        where, target.handle),
                    {}};
        case SshTrouble::key_rejected:
            return {ErrorCategory::permanent,
                    std::string(kKeyRejected),
                    fmt::format("{}: it lets user {} in with none of the keys: {}", where, target.user, reason),
                    {}};
        default:
            return {ErrorCategory::transient,
                    std::string(kUnreachable),
                    fmt::format("{}: SSH: {}", where, reason.empty() ? outcome.describe() : reason),
                    {}};
    }
}

}  // namespace

Result<SshConnection> SshConnection::make(const RunDirectory& run, SshTarget target, const std::string& password) {
    target.with_password = !password.empty();
    auto environment = process::minimal_environment();
    environment["HOME"] = run.path().string();  // whatever ~/.ssh of this host says is not for servers
    if (target.with_password) {
        auto secret = run.write("password", password);
        if (!secret) return std::unexpected(secret.error());
        auto asked = run.write("askpass", "#!/bin/sh\nexec cat \"$CODEGEN_PASSWORD_FILE\"\n", 0700);
        if (!asked) return std::unexpected(asked.error());
        environment["SSH_ASKPASS"] = asked->string();
        environment["SSH_ASKPASS_REQUIRE"] = "force";
        environment["CODEGEN_PASSWORD_FILE"] = secret->string();
    }
    auto text = ssh_config(target);
    if (!text) return std::unexpected(text.error());
    auto config = run.write(target.with_password ? "ssh_config.password" : "ssh_config", *text);
    if (!config) return std::unexpected(config.error());
    return SshConnection(std::move(target), std::move(*config), std::move(environment));
}

Task<Result<process::Outcome>> SshConnection::command(std::string script, std::string input, milliseconds limit) const {
    process::Spec spec;
    spec.argv = {"ssh", "-F", config_.string(), "-T", target_.handle, std::move(script)};
    spec.environment = environment_;
    spec.input = std::move(input);
    auto outcome = co_await process::run(std::move(spec), {.timeout = limit, .output_bytes = kOutput});
    if (!outcome) co_return std::unexpected(missing(outcome.error(), "ssh"));
    const bool own = outcome->end == process::Outcome::End::exited && outcome->code == 255;
    if (own || outcome->end == process::Outcome::End::timeout) co_return std::unexpected(error_of(target_, *outcome));
    co_return std::move(*outcome);
}

Task<Result<void>> SshConnection::reach(std::vector<milliseconds> waits) const {
    for (std::size_t attempt = 0;; ++attempt) {
        auto answered = co_await command("true", {}, kLogin);
        if (answered && answered->ok()) co_return Result<void>();
        if (answered)
            co_return fail(ErrorCategory::permanent, "command",
                           fmt::format("server {}: user {} may not run commands: {}", target_.handle, target_.user,
                                       answered->describe()));
        if (answered.error().code != kUnreachable) co_return std::unexpected(answered.error());
        if (attempt >= waits.size())
            co_return std::unexpected(Error{answered.error().category,
                                            answered.error().code,
                                            fmt::format("{} ({} attempts)", answered.error().message, attempt + 1),
                                            {}});
        co_await async::sleep_for(waits[attempt]);
    }
}

Task<Result<void>> SshConnection::install_key(std::string public_key) const {
    auto done = co_await command(std::string(kInstallKey), public_key + "\n", kLogin);
    if (!done) co_return std::unexpected(done.error());
    if (!done->ok())
        co_return fail(
            ErrorCategory::permanent, "command",
            fmt::format("server {}: the orchestrator's key could not be added to the authorized_keys of {}: {}",
                        target_.handle, target_.user, done->describe()));
    co_return Result<void>();
}

std::string as_key_file(std::string text) {
    std::erase(text, '\r');
    while (text.ends_with('\n')) text.pop_back();
    return text + "\n";
}

Task<Result<std::string>> make_key(const RunDirectory* run, std::string comment) {
    const auto file = *run / ("new-" + random_token(4));
    process::Spec spec;
    spec.argv = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", std::move(comment), "-f", file.string()};
    spec.environment = process::minimal_environment();
    auto outcome = co_await process::run(std::move(spec), {.timeout = kKeyTool, .output_bytes = kOutput});
    if (!outcome) co_return std::unexpected(missing(outcome.error(), "ssh-keygen"));
    if (!outcome->ok()) co_return fail(ErrorCategory::permanent, "key", "ssh-keygen: " + outcome->describe());
    co_return posix::read_file(file, 65536);
}

Task<Result<std::string>> public_half(const RunDirectory* run, std::string private_key) {
    auto file = run->write("half-" + random_token(4), as_key_file(std::move(private_key)));
    if (!file) co_return std::unexpected(file.error());
    process::Spec spec;
    spec.argv = {"ssh-keygen", "-y", "-P", "", "-f", file->string()};
    spec.environment = process::minimal_environment();
    auto outcome = co_await process::run(std::move(spec), {.timeout = kKeyTool, .output_bytes = kOutput});
    std::error_code ignored;
    std::filesystem::remove(*file, ignored);
    if (!outcome) co_return std::unexpected(missing(outcome.error(), "ssh-keygen"));
    if (outcome->errors.find("incorrect passphrase") != std::string::npos)
        co_return fail(ErrorCategory::permanent, "key",
                       "the private key has a passphrase: give one without (ssh-keygen -p -N '' -f a copy of it)");
    auto line = outcome->output;
    while (line.ends_with('\n')) line.pop_back();
    if (!outcome->ok() || !is_public_key(line))
        co_return fail(ErrorCategory::permanent, "key",
                       fmt::format("it is no private key that OpenSSH reads ({})", ssh_reason(outcome->errors)));
    co_return line;
}

}  // namespace codegen::infra
