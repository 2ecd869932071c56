#include "services/worker-manager/runtime/docker_runtime.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "services/worker-manager/runtime/own_image.hpp"
#include "shared/async/deadline.hpp"
#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"
#include "shared/sandbox/bwrap_command.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;
using clients::Container;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::string_view kState = "/var/lib/codegen-worker";
constexpr std::string_view kInstallation = "codegen.installation";
constexpr std::string_view kWorker = "codegen.worker";
constexpr std::string_view kAttempt = "codegen.attempt";
constexpr std::string_view kPrepared = "codegen.prepared";
constexpr std::string_view kNamePrefix = "worker-";

std::string label(const Container& container, std::string_view name) {
    auto found = container.labels.find(std::string(name));
    return found == container.labels.end() ? std::string() : found->second;
}

int attempt_of(const Container& container) {
    std::string text = label(container, kAttempt);
    return text.empty() ? 1 : std::atoi(text.c_str());
}

std::string container_name(const std::string& worker_id) { return std::string(kNamePrefix) + worker_id; }

// Labels cannot change: a prepared one's name follows its owner.
std::string worker_of(const Container& container) {
    if (label(container, kPrepared).empty() || !container.name.starts_with(kNamePrefix))
        return label(container, kWorker);
    return container.name.substr(kNamePrefix.size());
}

}  // namespace

contracts::WrapperConfig docker_config(const BodySpec& spec) {
    contracts::WrapperConfig config = spec.config;
    config.worker_id = spec.worker_id;
    config.agent_type = spec.agent_type;
    config.gateway_directory = sandbox::kGatewayInside;
    config.redis_socket = config.gateway_directory + "/wrapper/redis.sock";
    config.state_directory = kState;
    config.workspace = sandbox::kWorkspaceInside;
    config.home = sandbox::kHomeInside;
    config.agent_uid = sandbox::kInsideUid;
    config.agent_gid = sandbox::kInsideGid;
    config.sandbox.reset();
    config.memory_limit = spec.limits.memory_bytes;
    config.path = {std::string(sandbox::kProgramsInside),
                   "/usr/local/sbin",
                   "/usr/local/bin",
                   "/usr/sbin",
                   "/usr/bin",
                   "/sbin",
                   "/bin"};
    if (auto binary = agent_binary(spec.agent_type)) config.agent_program = binary->inside();
    return config;
}

// On the state directory's disk: an engine's images are no memory.
fs::path engine_data(const BodySpec& spec) { return spec.directories.root / "engine"; }

Result<EngineSocket> engine_socket(const std::string& docker_host) {
    constexpr std::string_view kScheme = "unix://";
    EngineSocket socket{docker_host.starts_with(kScheme) ? docker_host.substr(kScheme.size()) : docker_host, 0};
    const auto refused = [&](std::string why) {
        return fail(ErrorCategory::permanent, "unavailable",
                    fmt::format("capability docker: the engine's socket {} {}", socket.path.string(), why));
    };
    struct stat status{};
    if (::stat(socket.path.c_str(), &status) != 0)
        return refused(fmt::format("cannot be seen: {}", std::strerror(errno)));
    if (!S_ISSOCK(status.st_mode)) return refused("is not a socket");
    if ((status.st_mode & 0060) != 0060)
        return refused(
            fmt::format("has mode {:04o}: its group may not use it, and the agent gets at it through the group",
                        status.st_mode & 07777u));
    socket.group = static_cast<int>(status.st_gid);
    return socket;
}

clients::ContainerSpec container_spec(const BodySpec& spec, const std::optional<fs::path>& agent_mount,
                                      const std::optional<EngineSocket>& socket) {
    clients::ContainerSpec container;
    container.image = spec.image;
    container.entrypoint = {std::string(sandbox::kProgramsInside) + "/worker-wrapper"};
    container.hostname = spec.worker_id;
    if (spec.prepared)
        container.entrypoint.emplace_back("wait");
    else
        container.environment = spec.environment;
    container.environment["WRAPPER_CONFIG"] = std::string(kState) + "/config.json";
    container.labels = {{std::string(kInstallation), spec.installation},
                        {"codegen.host", spec.host},
                        {std::string(kWorker), spec.worker_id},
                        {std::string(kAttempt), std::to_string(spec.attempt)}};
    if (spec.prepared) container.labels[std::string(kPrepared)] = "1";
    const WorkerDirectories& host = spec.directories;
    const std::string gateway(sandbox::kGatewayInside);
    container.mounts = {{host.gateway(), gateway, true},
                        {host.state(), std::string(kState), false},
                        {host.workspace(), std::string(sandbox::kWorkspaceInside), false},
                        {host.home(), std::string(sandbox::kHomeInside), false},
                        {spec.programs, std::string(sandbox::kProgramsInside), true}};
    if (auto binary = agent_binary(spec.agent_type); binary && agent_mount)
        container.mounts.push_back({*agent_mount, binary->inside_folder(), true});
    if (!spec.login.empty())
        container.mounts.push_back(
            {spec.login, std::string(sandbox::kHomeInside) + "/" + spec.config.login.value(), false});
    if (socket) {
        container.mounts.push_back({socket->path, std::string(kEngineSocketInside), false});
        container.groups = {socket->group};
    }
    // tmpfs counts as the container's memory.
    const std::int64_t half = spec.limits.memory_bytes / 2;
    container.tmpfs = {{gateway + "/agent", 64 << 10, 0755, false},
                       {"/tmp", std::min<std::int64_t>(1ll << 30, half), 01777, true},
                       {"/var/tmp", std::min<std::int64_t>(64ll << 20, half), 01777, true},
                       {"/run/lock", 1 << 20, 01777, false}};
    if (!spec.engine_runtime.empty()) {
        container.isolating_runtime = spec.engine_runtime;
        container.read_only_root = false;  // the engine's own key and links
        container.mounts.push_back({engine_data(spec), std::string(contracts::kInnerEngineData), false});
        container.tmpfs.push_back(
            {fs::path(contracts::kInnerEngineSocket).parent_path().string(), 64 << 10, 0755, false});
    }
    container.capabilities = {"SETUID", "SETGID"};
    container.network = spec.network;
    container.memory_bytes = spec.limits.memory_bytes;
    container.cpus = spec.limits.cpus;
    container.processes = spec.limits.processes;
    return container;
}

namespace {

// Not synced: after a power cut no container is left that could read it.
Result<void> write_config(const BodySpec& spec, const contracts::WrapperConfig& config) {
    return posix::replace_file(spec.directories.state() / "config.json", json::write(config), 0600);
}

}  // namespace

Result<std::unique_ptr<DockerRuntime>> DockerRuntime::make(asio::any_io_executor executor, DockerOptions options) {
    auto client = clients::DockerClient::make(executor, options.docker_host);
    if (!client) return std::unexpected(client.error());
    return std::unique_ptr<DockerRuntime>(new DockerRuntime(std::move(*client), std::move(options)));
}

DockerRuntime::DockerRuntime(clients::DockerClient client, DockerOptions options)
    : options_(std::move(options)),
      client_(std::move(client)),
      images_(client_, options_.images, options_.installation),
      built_(client_, options_.installation, options_.images.images) {}

Task<Result<void>> DockerRuntime::probe() {
    if (::geteuid() != 0)
        co_return fail(
            ErrorCategory::permanent, "unavailable",
            "the Docker runtime needs a control plane that runs as root (it hands sockets and directories to other "
            "uids); use the sandbox runtime");
    auto version = co_await client_.version();
    if (!version) co_return std::unexpected(version.error());
    co_return Result<void>();
}

Task<Result<std::string>> DockerRuntime::prepare_image(ImageRequest request,
                                                       std::function<void(std::string)> progress) {
    return images_.ensure(std::move(request), std::move(progress));
}

AgentIdentity DockerRuntime::agent_identity(const std::string&) { return {sandbox::kInsideUid, sandbox::kInsideGid}; }

Task<Result<std::string>> DockerRuntime::start(BodySpec spec) {
    std::string worker_id = spec.worker_id;
    if (!is_worker_name(worker_id) || spec.installation != options_.installation)
        co_return fail(ErrorCategory::permanent, "invalid",
                       fmt::format("worker \"{}\" of installation \"{}\": not a worker of this runtime (\"{}\")",
                                   worker_id, spec.installation, options_.installation));
    struct Starting {
        std::set<std::string>& all;
        std::string id;
        ~Starting() { all.erase(id); }
    } starting{starting_, worker_id};
    starting_.insert(worker_id);
    auto started =
        co_await async::with_timeout(start_unbounded(std::move(spec)), seconds(60), "start worker " + worker_id);
    if (!started) co_return std::unexpected(in_context(started.error(), "start worker " + worker_id));
    co_return started;
}

Task<Result<std::string>> DockerRuntime::start_unbounded(BodySpec spec) {
    auto image = co_await client_.inspect_image(spec.image);
    if (!image) co_return std::unexpected(image.error());
    std::optional<fs::path> agent_mount;
    if (auto binary = agent_binary(spec.agent_type); binary && image->labels["codegen.agent"] != binary->folder)
        agent_mount = options_.images.agents / binary->folder;
    auto config = docker_config(spec);
    if (!image->labels.contains("codegen.image")) {  // the user's own
        auto ours = config.path.front();
        config.path = image_path(image->environment, ours, std::move(config.path));
        config.image_environment = image_environment(image->environment);
    }
    std::optional<EngineSocket> socket;
    if (spec.engine_socket) {
        auto found = engine_socket(options_.docker_host);
        if (!found) co_return std::unexpected(found.error());
        socket = std::move(*found);
        config.agent_groups = {socket->group};
    }

    if (!spec.engine_runtime.empty()) {
        if (auto made = posix::make_directory(engine_data(spec), 0711); !made) co_return std::unexpected(made.error());
        config.own_engine = true;
    }

    auto id = co_await create(spec.worker_id, container_spec(spec, agent_mount, socket));
    if (!id) co_return std::unexpected(id.error());
    // After what an earlier body left was removed, its file with it.
    if (!spec.prepared)
        if (auto written = write_config(spec, config); !written) co_return std::unexpected(written.error());
    auto started = co_await client_.start_container(*id);
    if (!started) {
        Error error = started.error();
        // An engine that went away may have started it: then it is found and removed by name at the next attempt.
        if (error.category == ErrorCategory::permanent || error.code == "engine")
            static_cast<void>(co_await client_.remove_container(*id, true));
        co_return std::unexpected(std::move(error));
    }
    co_return *id;
}

Task<Result<std::string>> DockerRuntime::claim(std::string slot, BodySpec spec) {
    std::string what = fmt::format("prepared worker {} for {}", slot, spec.worker_id);
    auto claimed = co_await async::with_timeout(claim_unbounded(std::move(slot), std::move(spec)), seconds(20), what);
    if (!claimed) co_return std::unexpected(in_context(claimed.error(), what));
    co_return claimed;
}

// The file comes last: with it the wrapper begins.
Task<Result<std::string>> DockerRuntime::claim_unbounded(std::string slot, BodySpec spec) {
    const std::string name = container_name(spec.worker_id);
    auto renamed = co_await client_.rename_container(container_name(slot), name);
    if (!renamed && renamed.error().code == "conflict") {
        auto removed = co_await remove(spec.worker_id, milliseconds(0));
        if (!removed) co_return std::unexpected(removed.error());
        renamed = co_await client_.rename_container(container_name(slot), name);
    }
    if (!renamed) co_return std::unexpected(renamed.error());
    auto container = co_await find(spec.worker_id);
    if (!container) co_return std::unexpected(container.error());
    if (!container->running)
        co_return fail(ErrorCategory::transient, "ended", fmt::format("it has ended with {}", container->exit_code));
    if (auto written = write_config(spec, docker_config(spec)); !written) co_return std::unexpected(written.error());
    co_return container->id;
}

Task<Result<std::string>> DockerRuntime::create(std::string worker_id, clients::ContainerSpec spec) {
    auto id = co_await client_.create_container(container_name(worker_id), spec);
    if (id || id.error().code != "conflict") co_return id;
    auto removed = co_await remove(worker_id, milliseconds(0));
    if (!removed) co_return std::unexpected(removed.error());
    co_return co_await client_.create_container(container_name(worker_id), std::move(spec));
}

Task<Result<Container>> DockerRuntime::find(std::string worker_id) {
    auto container = co_await client_.inspect_container(container_name(worker_id));
    if (!container) co_return std::unexpected(container.error());
    if (label(*container, kInstallation) != options_.installation)
        co_return fail(
            ErrorCategory::permanent, "foreign",
            fmt::format("container {} belongs to {}: remove it, or give this control plane its own engine",
                        container->name,
                        label(*container, kInstallation).empty() ? "somebody else"
                                                                 : "installation " + label(*container, kInstallation)));
    co_return container;
}

Task<Result<void>> DockerRuntime::remove(std::string worker_id, milliseconds grace) {
    auto container = co_await find(worker_id);
    if (!container) {
        if (container.error().code == "not_found") co_return Result<void>();
        co_return std::unexpected(container.error());
    }
    std::string id = container->id;
    if (container->status == "paused") {  // nobody could hear a signal
        auto resumed = co_await client_.unpause_container(id);
        if (!resumed && resumed.error().category == ErrorCategory::transient) co_return resumed;
    }
    auto removed = co_await remove_container(id, container->running ? grace : milliseconds(0));
    if (!removed) co_return std::unexpected(in_context(removed.error(), "remove worker " + worker_id));
    std::error_code ignored;
    fs::remove(WorkerDirectories{options_.workers / worker_id}.state() / "config.json", ignored);
    reported_.erase(id);
    oom_seen_.erase(id);
    co_return Result<void>();
}

Task<Result<void>> DockerRuntime::pause(std::string worker_id) {
    auto container = co_await find(worker_id);
    if (!container) co_return std::unexpected(container.error());
    if (container->status == "paused") co_return Result<void>();
    co_return co_await client_.pause_container(container->id);
}

Task<Result<void>> DockerRuntime::resume(std::string worker_id) {
    auto container = co_await find(worker_id);
    if (!container) co_return std::unexpected(container.error());
    if (container->status != "paused") co_return Result<void>();
    co_return co_await client_.unpause_container(container->id);
}

Task<Result<void>> DockerRuntime::remove_container(std::string id, milliseconds grace) {
    if (grace.count() > 0) {
        auto stopped = co_await client_.stop_container(id, std::chrono::ceil<seconds>(grace));
        if (!stopped && stopped.error().category == ErrorCategory::transient && stopped.error().code != "engine")
            co_return stopped;
    }
    auto deadline = std::chrono::steady_clock::now() + seconds(60);
    for (;;) {
        auto removed = co_await client_.remove_container(id, true);
        if (removed || removed.error().code == "not_found") co_return Result<void>();
        // 409: a removal is already in progress, ours of before or somebody else's.
        if (removed.error().code != "conflict" || std::chrono::steady_clock::now() > deadline) co_return removed;
        co_await async::sleep_for(milliseconds(100));
    }
}

Task<Result<std::vector<Body>>> DockerRuntime::list() {
    auto containers = co_await client_.list_containers({installation_label()});
    if (!containers) {
        Error error = containers.error();
        if (error.category == ErrorCategory::transient) error.code = "unavailable";
        co_return std::unexpected(std::move(error));
    }
    std::vector<Body> bodies;
    for (const Container& container : *containers)
        bodies.push_back({worker_of(container), container.id, attempt_of(container), container.running});
    co_return bodies;
}

Task<void> DockerRuntime::report(std::string id, clients::ContainerEvent event,
                                 std::function<Task<void>(BodyEnd)> on_end) {
    std::optional<int> seen_exit_code;
    if (auto code = event.attributes.find("exitCode"); code != event.attributes.end())
        seen_exit_code = std::atoi(code->second.c_str());
    auto container = co_await client_.inspect_container(id);
    if (!container) {
        // Removed already, by us or by somebody else (docker rm -f): what the event itself says is all there is.
        if (event.action != "die" || reported_.contains(id)) co_return;
        const auto& name = event.attributes["name"];
        BodyEnd end{.worker_id = name.starts_with(kNamePrefix) ? name.substr(kNamePrefix.size()) : name,
                    .body_id = id,
                    .exit_code = seen_exit_code,
                    .out_of_memory = oom_seen_.contains(id)};
        co_await on_end(std::move(end));
        co_return;
    }
    if (container->running || reported_.contains(id)) co_return;
    BodyEnd end{.worker_id = worker_of(*container),
                .body_id = id,
                .exit_code = seen_exit_code,
                .out_of_memory = container->out_of_memory || oom_seen_.contains(id)};
    if (!end.exit_code && container->status != "created") end.exit_code = container->exit_code;
    reported_.insert(id);
    co_await on_end(std::move(end));
}

Task<void> DockerRuntime::report_ended(std::function<Task<void>(BodyEnd)> on_end) {
    auto containers = co_await client_.list_containers({installation_label()});
    if (!containers) co_return;
    for (const Container& container : *containers)
        if (!container.running && !reported_.contains(container.id) && !starting_.contains(worker_of(container)))
            co_await report(container.id, clients::ContainerEvent{}, on_end);
}

Task<void> DockerRuntime::watch(std::function<Task<void>(BodyEnd)> on_end) {
    auto on_connected = [this, on_end] { return report_ended(on_end); };
    auto on_event = [this, on_end](clients::ContainerEvent event) -> Task<void> {
        if (event.action == "oom") oom_seen_.insert(event.id);
        std::string id = event.id;
        return report(std::move(id), std::move(event), on_end);
    };
    milliseconds wait(100);
    for (bool told = false;;) {
        reported_.clear();  // a new watcher, or a stream with a gap: everything that stands ended is reported again
        auto ended = co_await client_.events(installation_label(), {"die", "oom"}, {}, on_connected, on_event);
        if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) co_return;
        if (!std::exchange(told, true))
            log::warning("Docker engine is away: its workers are unknown, not dead",
                         {{"error", ended.error().message}});
        co_await async::sleep_for(wait);
        if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) co_return;
        wait = std::min(wait * 2, milliseconds(5000));
        if (co_await client_.ping()) {
            log::info("Docker engine is back");
            told = false;
            wait = milliseconds(100);
        }
    }
}

Task<Result<std::pair<int, std::string>>> DockerRuntime::run_inside(std::string worker_id,
                                                                    std::vector<std::string> argv,
                                                                    milliseconds timeout) {
    auto container = co_await find(worker_id);
    if (!container) co_return std::unexpected(container.error());
    clients::ExecRequest request{
        .argv = std::move(argv),
        .user = fmt::format("{}:{}", sandbox::kInsideUid, sandbox::kInsideGid),
        .working_directory = std::string(sandbox::kWorkspaceInside),
        .environment = {fmt::format("PATH={}:/usr/local/bin:/usr/bin:/bin", sandbox::kProgramsInside),
                        fmt::format("HOME={}", sandbox::kHomeInside), "USER=agent", "LANG=C.UTF-8", "TMPDIR=/tmp",
                        fmt::format("CODEGEN_GATEWAY={}", sandbox::kGatewayInside)}};
    auto exec_id = std::make_shared<std::string>();
    auto outcome = co_await client_.exec(container->id, std::move(request), timeout, 1u << 20,
                                         [exec_id](std::string id) { *exec_id = std::move(id); });
    if (outcome) co_return std::pair(outcome->exit_code, std::move(outcome->output));
    if (outcome.error().code == "timeout" && !exec_id->empty()) {
        // The engine cannot end an exec. Its pid is one of this machine when /proc says that it is in this container.
        auto pid = co_await client_.exec_pid(*exec_id);
        if (pid && *pid > 1) {
            std::ifstream file(fmt::format("/proc/{}/cgroup", *pid));
            std::string groups((std::istreambuf_iterator<char>(file)), {});
            if (groups.contains(container->id)) ::kill(*pid, SIGKILL);
        }
    }
    co_return std::unexpected(in_context(outcome.error(), "worker " + worker_id));
}

}  // namespace codegen::worker_manager
