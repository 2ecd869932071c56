#include "services/worker-manager/runtime/agent_store.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "shared/agents/agent.hpp"
#include "shared/json/enum.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;

std::optional<AgentBinary> agent_binary(contracts::AgentType type) {
    const auto& known = agents::agent_of(type).description();
    if (known.program.empty()) return std::nullopt;
    const std::string agent(json::name_of(type));
    return AgentBinary{.agent = agent,
                       .version = known.version,
                       .folder = fmt::format("{}-{}", agent, known.version),
                       .program = known.program,
                       .companions = known.companions};
}

AgentStore::AgentStore(fs::path agents, fs::path scripts) : agents_(std::move(agents)), scripts_(std::move(scripts)) {}

Task<Result<fs::path>> AgentStore::ensure(AgentBinary binary, std::function<void(std::string)> progress) {
    fs::path program = agents_ / binary.folder / binary.program;
    if (::access(program.c_str(), X_OK) == 0) co_return program;
    std::string key = binary.folder;
    co_return co_await flights_.run(key, [this, binary, progress] { return install(binary, progress); });
}

Task<Result<fs::path>> AgentStore::install(AgentBinary binary, std::function<void(std::string)> progress) {
    fs::path script = scripts_ / binary.agent / "install.sh";
    if (::access(script.c_str(), R_OK) != 0)
        co_return fail(ErrorCategory::permanent, "not_found", script.string() + " is missing: it installs the agent");
    if (auto made = posix::make_directory(agents_, 0755); !made) co_return std::unexpected(made.error());

    process::Spec spec;
    spec.argv = {"/bin/sh", script, binary.version, agents_ / binary.folder};
    spec.environment = process::minimal_environment();
    // What npm needs to get through a company's proxy or an extra certificate authority; no credential among them.
    for (const char* name :
         {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE",
          "NODE_EXTRA_CA_CERTS", "npm_config_registry", "NPM_CONFIG_REGISTRY", "CODEGEN_AGENT_TARBALLS"})
        if (const char* value = std::getenv(name)) spec.environment[name] = value;
    auto last = std::make_shared<std::string>();
    auto outcome = co_await process::run(std::move(spec), {.timeout = std::chrono::minutes(15)},
                                         [last, progress](std::string_view line) {
                                             *last = line;
                                             if (progress) progress(std::string(line));
                                         });
    if (!outcome) co_return std::unexpected(outcome.error());
    if (!outcome->ok())
        co_return fail(
            ErrorCategory::transient, "unavailable",
            fmt::format("install agent {} {}: {}: {}", binary.agent, binary.version, outcome->describe(), *last));
    co_return agents_ / binary.folder / binary.program;
}

}  // namespace codegen::worker_manager
