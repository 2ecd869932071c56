#include "services/scaffolder/git.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "shared/process/process.hpp"

namespace codegen::scaffolder {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 17> kConfiguration{{
    {"core.hooksPath", "/dev/null"},
    {"core.fsmonitor", "false"},
    {"core.attributesFile", "/dev/null"},
    {"core.excludesFile", "/dev/null"},
    {"core.protectHFS", "true"},
    {"core.protectNTFS", "true"},
    {"core.autocrlf", "false"},
    {"core.fsync", "all"},
    {"protocol.allow", "never"},
    {"protocol.file.allow", "always"},
    {"protocol.http.allow", "always"},
    {"protocol.https.allow", "always"},
    {"protocol.ssh.allow", "always"},
    {"credential.helper", ""},
    {"submodule.recurse", "false"},
    {"gc.auto", "0"},
    {"safe.directory", "*"},
}};

// What a company's network needs; nothing else of our environment reaches git.
constexpr std::array<const char*, 9> kFromOurs{"http_proxy",    "https_proxy",  "no_proxy",
                                               "HTTP_PROXY",    "HTTPS_PROXY",  "NO_PROXY",
                                               "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"};

// What curl and ssh say when the other side could not be reached.
constexpr std::array<std::string_view, 9> kAway{"Could not resolve host",
                                                "Failed to connect",
                                                "Couldn't connect",
                                                "Connection refused",
                                                "Connection timed out",
                                                "Connection reset",
                                                "Empty reply from server",
                                                "error: 50",
                                                "early EOF"};

std::map<std::string, std::string> environment_of(const GitCall& call) {
    auto environment = process::minimal_environment();
    for (const char* name : kFromOurs)
        if (const char* value = std::getenv(name); value && *value) environment[name] = value;
    environment["HOME"] = "/nonexistent";
    environment["LC_ALL"] = "C";
    environment["GIT_CONFIG_NOSYSTEM"] = "1";
    environment["GIT_CONFIG_GLOBAL"] = "/dev/null";
    environment["GIT_ATTR_NOSYSTEM"] = "1";
    environment["GIT_TERMINAL_PROMPT"] = "0";
    environment["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes";
    environment["GIT_DIR"] = call.repository.string();
    if (!call.work_tree.empty()) environment["GIT_WORK_TREE"] = call.work_tree.string();
    std::size_t count = 0;
    const auto configure = [&](std::string_view key, std::string_view value) {
        environment[fmt::format("GIT_CONFIG_KEY_{}", count)] = key;
        environment[fmt::format("GIT_CONFIG_VALUE_{}", count)] = value;
        environment["GIT_CONFIG_COUNT"] = std::to_string(++count);
    };
    for (const auto& [key, value] : kConfiguration) configure(key, value);
    for (const auto& [key, value] : call.configuration) configure(key, value);
    for (const auto& [name, value] : call.environment) environment[name] = value;
    return environment;
}

bool is_away(const process::Outcome& outcome) {
    return outcome.end == process::Outcome::End::timeout ||
           std::ranges::any_of(kAway, [&](std::string_view words) { return outcome.errors.contains(words); });
}

}  // namespace

Task<Result<std::string>> git(GitCall call) {
    process::Spec spec;
    spec.argv = {"git"};
    spec.argv.insert(spec.argv.end(), call.arguments.begin(), call.arguments.end());
    spec.environment = environment_of(call);
    spec.input = std::move(call.input);
    const auto step = "git " + call.arguments.front();
    auto outcome = co_await process::run(std::move(spec), {.timeout = call.timeout});
    if (!outcome) co_return std::unexpected(in_context(outcome.error(), step));
    if (!outcome->ok())
        co_return fail(is_away(*outcome) ? ErrorCategory::transient : ErrorCategory::permanent, "git",
                       fmt::format("{}: {}", step, outcome->describe()));
    co_return std::move(outcome->output);
}

}  // namespace codegen::scaffolder
