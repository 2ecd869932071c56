#include "shared/git/git.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace codegen::git {
namespace {

using Setting = std::pair<std::string_view, std::string_view>;

constexpr std::array<Setting, 19> kAlways{{
    {"core.hooksPath", "/dev/null"},
    {"core.fsmonitor", "false"},
    {"core.attributesFile", "/dev/null"},
    {"core.excludesFile", "/dev/null"},
    {"core.protectHFS", "true"},
    {"core.protectNTFS", "true"},
    {"core.autocrlf", "false"},
    {"core.bigFileThreshold", "1m"},  // larger blobs are streamed, never held in memory
    {"protocol.allow", "never"},
    {"protocol.file.allow", "always"},
    {"transfer.fsckObjects", "true"},
    {"fetch.unpackLimit", "1"},  // objects stay in their pack
    {"submodule.recurse", "false"},
    {"gc.auto", "0"},
    {"maintenance.auto", "false"},
    {"pack.threads", "1"},
    {"credential.helper", ""},
    {"advice.detachedHead", "false"},
    {"safe.directory", "*"},
}};

constexpr std::array<Setting, 3> kNetwork{{
    {"protocol.http.allow", "always"},
    {"protocol.https.allow", "always"},
    {"protocol.ssh.allow", "always"},
}};

// What a company's network needs; nothing else of our environment reaches git.
constexpr std::array<const char*, 9> kNetworkFromOurs{"http_proxy",    "https_proxy",  "no_proxy",
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

std::map<std::string, std::string> environment_of(const Call& call) {
    auto environment = process::minimal_environment();
    environment["HOME"] = "/nonexistent";
    environment["LC_ALL"] = "C";
    environment["GIT_CONFIG_NOSYSTEM"] = "1";
    environment["GIT_CONFIG_GLOBAL"] = "/dev/null";
    environment["GIT_ATTR_NOSYSTEM"] = "1";
    environment["GIT_TERMINAL_PROMPT"] = "0";
    environment["GIT_NO_REPLACE_OBJECTS"] = "1";
    environment["GIT_DIR"] = call.repository.string();
    if (!call.work_tree.empty()) environment["GIT_WORK_TREE"] = call.work_tree.string();
    std::size_t count = 0;
    const auto configure = [&](std::string_view key, std::string_view value) {
        environment[fmt::format("GIT_CONFIG_KEY_{}", count)] = key;
        environment[fmt::format("GIT_CONFIG_VALUE_{}", count)] = value;
        environment["GIT_CONFIG_COUNT"] = std::to_string(++count);
    };
    for (const auto& [key, value] : kAlways) configure(key, value);
    if (call.durable) configure("core.fsync", "all");
    if (call.network) {
        for (const auto& [key, value] : kNetwork) configure(key, value);
        for (const char* name : kNetworkFromOurs)
            if (const char* value = std::getenv(name); value && *value) environment[name] = value;
        environment["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes";
    }
    for (const auto& [key, value] : call.configuration) configure(key, value);
    for (const auto& [name, value] : call.environment) environment[name] = value;
    return environment;
}

std::vector<std::string> argv_of(const Call& call) {
    std::vector<std::string> argv;
    if (!call.input_file.empty()) argv = {"/bin/sh", "-c", R"(exec "$@" <"$0")", call.input_file.string()};
    if (const auto& bounds = call.bounds)
        argv.insert(argv.end(), {"prlimit", fmt::format("--as={}", bounds->memory_bytes),
                                 fmt::format("--cpu={}", bounds->cpu_seconds),
                                 fmt::format("--fsize={}", bounds->file_bytes), "--core=0", "--"});
    argv.push_back("git");
    argv.insert(argv.end(), call.arguments.begin(), call.arguments.end());
    return argv;
}

bool is_away(const process::Outcome& outcome) {
    return outcome.end == process::Outcome::End::timeout ||
           std::ranges::any_of(kAway, [&](std::string_view words) { return outcome.errors.contains(words); });
}

}  // namespace

Task<Result<process::Outcome>> run(Call call) {
    process::Spec spec;
    spec.argv = argv_of(call);
    spec.environment = environment_of(call);
    spec.input = std::move(call.input);
    co_return co_await process::run(std::move(spec), {.timeout = call.timeout, .output_bytes = call.output_bytes});
}

Task<Result<std::string>> output(Call call) {
    const auto step = "git " + call.arguments.front();
    const bool network = call.network;
    auto outcome = co_await run(std::move(call));
    if (!outcome) co_return std::unexpected(in_context(outcome.error(), step));
    if (!outcome->ok())
        co_return fail(network && is_away(*outcome) ? ErrorCategory::transient : ErrorCategory::permanent, "git",
                       fmt::format("{}: {}", step, outcome->describe()));
    co_return std::move(outcome->output);
}

}  // namespace codegen::git
