#include "services/worker-manager/repository/git.hpp"

#include <fmt/format.h>

#include <array>

namespace codegen::worker_manager {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 18> kConfiguration{{
    {"core.hooksPath", "/dev/null"},
    {"core.fsmonitor", "false"},
    {"core.attributesFile", "/dev/null"},
    {"core.excludesFile", "/dev/null"},
    {"core.protectHFS", "true"},
    {"core.protectNTFS", "true"},
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

std::map<std::string, std::string> environment_of(const GitCall& call) {
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
        ++count;
    };
    for (const auto& [key, value] : kConfiguration) configure(key, value);
    for (const auto& [key, value] : call.configuration) configure(key, value);
    for (const auto& [name, value] : call.environment) environment[name] = value;
    environment["GIT_CONFIG_COUNT"] = std::to_string(count);
    return environment;
}

std::vector<std::string> argv_of(const GitCall& call) {
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

}  // namespace

Task<Result<process::Outcome>> run_git(GitCall call) {
    process::Spec spec;
    spec.argv = argv_of(call);
    spec.environment = environment_of(call);
    spec.input = std::move(call.input);
    co_return co_await process::run(std::move(spec), {.timeout = call.timeout, .output_bytes = call.output_bytes});
}

Task<Result<std::string>> git(GitCall call) {
    const auto step = "git " + call.arguments.front();
    auto outcome = co_await run_git(std::move(call));
    if (!outcome) co_return std::unexpected(in_context(outcome.error(), step));
    if (!outcome->ok())
        co_return fail(ErrorCategory::permanent, "git", fmt::format("{}: {}", step, outcome->describe()));
    co_return std::move(outcome->output);
}

}  // namespace codegen::worker_manager
