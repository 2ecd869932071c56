#include "services/worker-manager/runtime/host_process_runtime.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "services/worker-manager/runtime/uid_processes.hpp"
#include "shared/base/ids.hpp"
#include "shared/json/enum.hpp"
#include "shared/posix/file.hpp"
#include "shared/sandbox/bwrap_command.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// The mark that every process of an agent inherits, unless it takes care to lose it.
bool carries(int pid, const std::string& mark) {
    const auto environment = proc_text(pid, "environ");
    return environment.starts_with(mark + '\0') || environment.contains('\0' + mark + '\0');
}

}  // namespace

HostProcessRuntime::HostProcessRuntime(asio::any_io_executor executor, SandboxOptions options, bool scripted_only)
    : SandboxRuntime(std::move(executor), std::move(options)), scripted_only_(scripted_only) {}

std::string HostProcessRuntime::warning(bool root) {
    return root ? "no wall around agents: each has a uid of its own, but reaches the network and every file that all "
                  "may read"
                : "no wall around agents: each runs as you do, reaches the network and reads what you can read, also "
                  "the control plane's own secrets";
}

Task<Result<void>> HostProcessRuntime::probe() {
    process::Spec spec;
    spec.argv = {"/bin/sh", "-c", "exit 0"};
    spec.environment = process::minimal_environment();
    spec.directory = "/";
    if (root_) spec.user = {options_.uid_base, options_.uid_base};
    auto outcome = co_await process::run(std::move(spec), {.timeout = seconds(10)});
    if (!outcome) co_return std::unexpected(in_context(outcome.error(), "start a process as an agent's uid"));
    if (!outcome->ok())
        co_return fail(ErrorCategory::permanent, "unavailable",
                       fmt::format("no process with an agent's uid {} runs here: {}; SANDBOX_UID_BASE names another "
                                   "range",
                                   options_.uid_base, outcome->describe()));
    say_missing_limits();
    co_return Result<void>();
}

Task<Result<std::string>> HostProcessRuntime::prepare_image(ImageRequest request,
                                                            std::function<void(std::string)> progress) {
    if (scripted_only_ && request.agent_type != contracts::AgentType::custom)
        return [](std::string agent) -> Task<Result<std::string>> {
            co_return fail(ErrorCategory::permanent, "invalid",
                           fmt::format("agent {}: neither Docker nor bubblewrap works here, and plain processes were "
                                       "chosen for the scripted demo alone; RUNTIME=process allows them for real "
                                       "agents ({})",
                                       agent, warning(::geteuid() == 0)));
        }(std::string(json::name_of(request.agent_type)));
    return SandboxRuntime::prepare_image(std::move(request), std::move(progress));
}

Result<void> HostProcessRuntime::write_files(const BodySpec& spec, const SandboxTools& tools) {
    contracts::WrapperConfig config = sandbox_config(spec, tools);
    config.sandbox.reset();
    config.path.front() = spec.programs.string();
    config.loopback_port = 0;  // the network is everybody's
    if (auto binary = agent_binary(spec.agent_type))
        config.agent_program = (tools.agents / binary->folder / binary->program).string();
    contracts::ProcessConfig process;
    process.temporary = (spec.directories.root / "tmp").string();
    process.cgroups = tools.cgroups;
    if (tools.cgroups.empty()) {
        process.memory_bytes = spec.limits.memory_bytes;
        if (root_) process.processes = spec.limits.processes;  // counted by uid, and ours is not ours alone
    }
    if (auto made = posix::make_directory(process.temporary, 0700); !made) return made;
    if (root_ && ::lchown(process.temporary.c_str(), static_cast<uid_t>(config.agent_uid),
                          static_cast<gid_t>(config.agent_gid)) != 0)
        return posix::errno_error("set the owner of " + process.temporary, errno);
    config.process = std::move(process);
    return posix::replace_file(spec.directories.state() / "config.json", json::write(config), 0600);
}

std::optional<contracts::WrapperConfig> HostProcessRuntime::config_of(const std::string& worker_id) const {
    if (!is_worker_name(worker_id)) return {};
    auto text = posix::read_file(directories(worker_id).state() / "config.json", 4u << 20);
    if (!text) return {};
    auto config = json::parse<contracts::WrapperConfig>(*text);
    if (!config || !config->process) return {};
    return std::move(*config);
}

process::Spec HostProcessRuntime::beside_agent(const contracts::WrapperConfig& config,
                                               std::vector<std::string> argv) const {
    process::Spec spec;
    spec.argv = std::move(argv);
    spec.environment = {{"PATH", config.path.front() + ":/usr/local/bin:/usr/bin:/bin"},
                        {"HOME", config.home},
                        {"USER", "agent"},
                        {"LANG", "C.UTF-8"},
                        {"TMPDIR", config.process->temporary},
                        {"CODEGEN_GATEWAY", config.gateway_directory}};
    spec.directory = config.workspace;
    if (root_) spec.user = {config.agent_uid, config.agent_gid};
    return spec;
}

// What the wrapper could not end, because it was killed itself. No pid namespace dies with it.
Task<void> HostProcessRuntime::end_leftovers(std::string worker_id) {
    const auto config = config_of(worker_id);
    if (!config) co_return;
    const int uid = config->agent_uid;
    // A runtime that goes ends the waits below at once, and then there is nothing of it to be touched.
    const bool root = root_;
    const std::weak_ptr<bool> owner = alive();
    // Only ever a uid that we gave away.
    if (root && (uid < options_.uid_base || uid >= options_.uid_base + options_.uid_count)) co_return;
    const auto mark = "CODEGEN_GATEWAY=" + config->gateway_directory;
    const auto left = [&] {
        auto pids = process_ids();
        std::erase_if(pids,
                      [&](int pid) { return !(root ? lives_as(pid, uid) : lives_as(pid, uid) && carries(pid, mark)); });
        return pids;
    };
    for (int round = 0; round < 500; ++round) {
        const auto pids = left();
        if (pids.empty()) co_return;
        for (int pid : pids) ::kill(pid, SIGKILL);
        if (root) {
            // In one step, which no fork bomb outruns.
            auto spec = beside_agent(*config, {"/bin/sh", "-c", "kill -s KILL -- -1"});
            spec.directory = "/";
            static_cast<void>(co_await process::run(std::move(spec), {.timeout = seconds(10)}));
            if (owner.expired()) co_return;
        }
        co_await async::sleep_for(milliseconds(2));
        if (owner.expired()) co_return;
    }
}

Task<Result<std::pair<int, std::string>>> HostProcessRuntime::run_inside(std::string worker_id,
                                                                         std::vector<std::string> argv,
                                                                         milliseconds timeout) {
    const auto config = config_of(worker_id);
    const auto file = config ? read_pid_file(directories(worker_id)) : std::nullopt;
    if (!file || !is_alive(*file))
        co_return fail(ErrorCategory::permanent, "not_found", fmt::format("worker {} does not run", worker_id));
    const auto& limits = *config->process;
    auto spec = beside_agent(*config, shell_beside(std::move(argv), limits.processes, limits.memory_bytes));
    spec.cgroups = limits.cgroups;
    auto outcome = co_await commands_.run(worker_id, std::move(spec), {.timeout = timeout, .output_bytes = 1u << 20});
    if (!outcome) co_return std::unexpected(outcome.error());
    if (outcome->end == process::Outcome::End::timeout)
        co_return fail(ErrorCategory::transient, "timeout",
                       fmt::format("worker {}: {}", worker_id, outcome->describe()));
    const int code = outcome->end == process::Outcome::End::exited ? outcome->code : 128 + outcome->code;
    co_return std::pair(code, outcome->output + outcome->errors);
}

}  // namespace codegen::worker_manager
