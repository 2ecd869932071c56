#include "apps/orchestratord/roles.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <cctype>
#include <charconv>

#include "apps/orchestratord/components.hpp"
#include "apps/orchestratord/github_access.hpp"
#include "apps/orchestratord/host_sessions.hpp"
#include "apps/orchestratord/infra_role.hpp"
#include "apps/orchestratord/scaffolder_role.hpp"
#include "services/api/service.hpp"
#include "services/worker-manager/gateway/settings.hpp"
#include "services/worker-manager/runtime/docker_runtime.hpp"
#include "services/worker-manager/runtime/host_process_runtime.hpp"
#include "services/worker-manager/service.hpp"
#include "services/workflow/service.hpp"
#include "shared/async/scope.hpp"
#include "shared/base/ids.hpp"
#include "shared/http/server.hpp"
#include "shared/http/url.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::orchestratord {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kStopGrace = 5s;
constexpr std::string_view kIsolatingRuntime = "runtime:";

fs::path program_folder() {
    std::error_code error;
    return fs::read_symlink("/proc/self/exe", error).parent_path();
}

// `name` in the sources when run from a build folder in them (build/bin, build/<preset>/bin), else where packages put
// it.
fs::path data_folder(const fs::path& name) {
    std::error_code error;
    auto folder = program_folder().parent_path();
    for (int level = 0; level < 2; ++level) {
        folder = folder.parent_path();
        if (fs::exists(folder / name, error)) return folder / name;
    }
    return fs::path("/usr/share/codegen") / name.filename();
}

// It becomes part of the names of streams.
bool is_host_name(std::string_view name) {
    return !name.empty() && name.size() <= 253 && std::ranges::all_of(name, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
    });
}

std::string host_name() {
    char buffer[256] = {};
    return ::gethostname(buffer, sizeof buffer - 1) == 0 ? buffer : "local";
}

}  // namespace

Result<TcpAddress> parse_tcp(std::string_view setting, std::string_view text) {
    const auto colon = text.rfind(':');
    TcpAddress out;
    if (colon != std::string_view::npos) {
        auto host = text.substr(0, colon);
        if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
        out.host = host;
        const auto port = text.substr(colon + 1);
        const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
        if (error == std::errc{} && end == port.data() + port.size() && !port.empty() && !out.host.empty()) return out;
    }
    return fail(ErrorCategory::fatal, "configuration",
                fmt::format("{} is \"{}\": expected address:port, e.g. 127.0.0.1:8000", setting, text));
}

struct Roles::Impl {
    Impl(asio::any_io_executor executor_in, const Configuration& configuration_in, const StateDirectory& state_in,
         redis::Address redis_in)
        : executor(executor_in),
          configuration(configuration_in),
          state(state_in),
          redis(std::move(redis_in)),
          ended(executor_in),
          scope(executor_in) {}

    // Constant.
    asio::any_io_executor executor;
    const Configuration& configuration;
    const StateDirectory& state;
    const redis::Address redis;

    std::unique_ptr<storage::Database> database;
    std::unique_ptr<api::Service> api;
    std::unique_ptr<http::Server> server;
    std::unique_ptr<workflow::Service> workflow;
    std::unique_ptr<scaffolder::Service> scaffolder;
    std::unique_ptr<worker_manager::Service> manager;
    std::unique_ptr<infra::Service> infra;
    posix::Fd manager_lock;  // one manager a directory
    std::map<contracts::AgentType, fs::path> host_sessions;
    std::optional<clients::GitHubClient> github;  // of roles that use it
    std::string runtime_line;
    std::optional<Error> failure;
    asio::steady_timer ended;
    async::Scope scope;

    std::string api_url() const {
        return configuration.optional_text("API_URL").value_or("http+unix://" + (state / "api.sock").string());
    }

    Task<Result<void>> open_api(bool default_tcp) {
        api::Options options;
        options.body_limit = static_cast<std::size_t>(configuration.bytes("API_BODY_LIMIT"));
        options.allow_header_auth = configuration.integer("ALLOW_HEADER_AUTH") == 1;
        options.rate_limit = configuration.integer("API_RATE_LIMIT");
        options.cors_origins = configuration.list("API_CORS_ORIGINS");
        options.state_directory = state.path();
        options.secrets_key = configuration.text("SECRETS_KEY");
        options.secrets_key_file = configuration.text("SECRETS_KEY_FILE");
        api = std::make_unique<api::Service>(*database, options);
        auto ready = co_await api->bootstrap();
        if (!ready) co_return std::unexpected(in_context(ready.error(), "api"));
        server = std::make_unique<http::Server>(executor, api->handler(), api->server_options());
        if (auto listening = server->listen_unix(state / "api.sock", 0600); !listening)
            co_return std::unexpected(in_context(listening.error(), "api"));
        const auto text = configuration.optional_text("API_ADDRESS").value_or(default_tcp ? "127.0.0.1:8000" : "");
        if (text.empty()) co_return Result<void>{};
        const auto address = parse_tcp("API_ADDRESS", text);
        if (!address) co_return std::unexpected(address.error());
        auto port = server->listen_tcp(address->host, address->port);
        if (!port) co_return std::unexpected(in_context(port.error(), fmt::format("API_ADDRESS {}", text)));
        log::info("the API listens", {{"address", fmt::format("{}:{}", address->host, *port)}});
        co_return Result<void>{};
    }

    Result<std::string> service_token() const {
        if (auto token = configuration.optional_text("SERVICE_TOKEN")) return *token;
        auto token = posix::read_file(state / "service.token", 4096);
        if (!token)
            return fail(ErrorCategory::fatal, "configuration",
                        fmt::format("no service token: {}; start the api role first, or set SERVICE_TOKEN",
                                    token.error().message));
        while (!token->empty() && token->back() == '\n') token->pop_back();
        return *token;
    }

    Task<Result<std::shared_ptr<worker_manager::WorkerRuntime>>> make_docker() {
        worker_manager::DockerOptions options;
        options.installation = state.instance_id();
        options.docker_host = configuration.text("DOCKER_HOST");
        options.workers = state / "workers";
        options.images = {.images = state / "images",
                          .agents = state / "agents",
                          .image_scripts = data_folder("images"),
                          .agent_scripts = data_folder("shared/agents"),
                          .base_image = configuration.text("WORKER_BASE_IMAGE")};
        auto runtime = worker_manager::DockerRuntime::make(executor, std::move(options));
        if (!runtime) co_return std::unexpected(runtime.error());
        auto usable = co_await (*runtime)->probe();
        if (!usable) co_return std::unexpected(usable.error());
        co_return std::shared_ptr<worker_manager::WorkerRuntime>(std::move(*runtime));
    }

    worker_manager::SandboxOptions sandbox_options() const {
        worker_manager::SandboxOptions options;
        options.installation = state.instance_id();
        options.workers = state / "workers";
        options.agents = state / "agents";
        options.agent_scripts = data_folder("shared/agents");
        options.uid_base = static_cast<int>(configuration.integer("SANDBOX_UID_BASE"));
        return options;
    }

    // `scripted_only`: nobody said RUNTIME=process, the demo falls back to it.
    Task<Result<std::shared_ptr<worker_manager::WorkerRuntime>>> make_process(bool scripted_only) {
        auto runtime = std::make_shared<worker_manager::HostProcessRuntime>(executor, sandbox_options(), scripted_only);
        auto usable = co_await runtime->probe();
        if (!usable) co_return std::unexpected(in_context(usable.error(), "RUNTIME=process"));
        runtime_line = fmt::format("==> workers run as plain processes: {}",
                                   worker_manager::HostProcessRuntime::warning(::geteuid() == 0));
        log::warning("RUNTIME=process", {{"missing", worker_manager::HostProcessRuntime::warning(::geteuid() == 0)}});
        co_return std::shared_ptr<worker_manager::WorkerRuntime>(std::move(runtime));
    }

    Task<Result<std::shared_ptr<worker_manager::WorkerRuntime>>> make_sandbox() {
        auto runtime = std::make_shared<worker_manager::SandboxRuntime>(executor, sandbox_options());
        auto usable = co_await runtime->probe();
        if (!usable) co_return std::unexpected(usable.error());
        co_return std::shared_ptr<worker_manager::WorkerRuntime>(std::move(runtime));
    }

    Task<Result<std::shared_ptr<worker_manager::WorkerRuntime>>> choose_runtime() {
        const auto wanted = configuration.text("RUNTIME");
        std::string why = "RUNTIME=" + wanted;
        if (wanted == "process") {
            auto process = co_await make_process(false);
            co_return process;
        }
        if (wanted != "sandbox") {
            auto docker = co_await make_docker();
            if (docker) {
                runtime_line =
                    fmt::format("==> workers run in Docker ({})", wanted == "docker" ? why : "an engine answers");
                co_return docker;
            }
            if (wanted == "docker") co_return std::unexpected(in_context(docker.error(), "RUNTIME=docker"));
            why = docker.error().message;
        }
        auto sandbox = co_await make_sandbox();
        if (!sandbox && wanted == "demo") {
            auto process = co_await make_process(true);
            co_return process;
        }
        if (!sandbox) co_return std::unexpected(in_context(sandbox.error(), "no runtime for workers: sandbox"));
        runtime_line = fmt::format("==> workers run in the sandbox ({})", why);
        co_return sandbox;
    }

    // `in_our_group`: what the runtime starts lives in this process's cgroup.
    worker_manager::Options manager_options(const std::string& token, bool in_our_group) const {
        worker_manager::Options o;
        o.state_directory = state.path();
        o.programs_source = program_folder();
        o.installation = state.instance_id();
        o.host = configuration.optional_text("CODEGEN_HOST").value_or(host_name());
        o.instance = state.instance_id();  // it is alone: what it left pending is taken over at once
        o.redis = redis;
        o.api_url = api_url();
        o.service_token = token;
        if (github) o.github = std::make_shared<clients::GitHubClient>(*github);
        o.max_workers = static_cast<std::size_t>(configuration.integer("MAX_CONCURRENT_WORKERS"));
        o.warm_pool = static_cast<std::size_t>(configuration.integer("WARM_POOL"));
        o.creation_timeout = std::chrono::seconds(configuration.integer("WORKER_CREATION_TIMEOUT"));
        o.session_ttl = std::chrono::seconds(configuration.integer("WORKER_SESSION_TTL"));
        o.idle.pause = std::chrono::seconds(configuration.integer("WORKER_IDLE_PAUSE"));
        o.idle.remove = std::chrono::seconds(configuration.integer("WORKER_IDLE_REMOVE"));
        o.limits.memory_bytes = configuration.bytes("WORKER_MEMORY_LIMIT");
        for (const auto& [agent, setting] : agent_memory_settings())
            o.agent_memory[agent] = configuration.bytes(setting);
        o.limits.cpus = configuration.number("WORKER_CPU_LIMIT");
        o.limits.processes = configuration.integer("WORKER_PIDS_LIMIT");
        o.limit_caps.memory_bytes = configuration.bytes("WORKER_MEMORY_CAP");
        o.limit_caps.cpus =
            configuration.number(configuration.is_set("WORKER_CPU_CAP") ? "WORKER_CPU_CAP" : "WORKER_CPU_LIMIT");
        o.limit_caps.processes = configuration.integer("WORKER_PIDS_CAP");
        if (configuration.text("WORKER_MEMORY_CHECK") == "on")
            o.host_memory = [in_our_group] { return worker_manager::read_host_memory(in_our_group); };
        const auto docker = configuration.text("DOCKER_CAPABILITY");  // checked by open()
        o.docker_socket = docker == "socket";
        if (docker.starts_with(kIsolatingRuntime)) o.docker_isolation = docker.substr(kIsolatingRuntime.size());
        o.images.keep = std::chrono::hours(24) * configuration.integer("IMAGE_KEEP_DAYS");
        o.network = configuration.text("WORKER_NETWORK");
        o.host_sessions = host_sessions;
        o.allowed_networks = configuration.list("WORKER_NETWORKS");
        o.egress_allow = configuration.list("EGRESS_ALLOW");
        o.max_tokens_per_task = configuration.integer("MAX_TOKENS_PER_TASK");
        o.provider_patience = std::chrono::seconds(configuration.integer("PROVIDER_PATIENCE"));
        o.providers = {worker_manager::anthropic_provider(configuration.text("ANTHROPIC_BASE_URL"),
                                                          configuration.text("ANTHROPIC_API_KEY"),
                                                          configuration.text("ANTHROPIC_AUTH_TOKEN")),
                       worker_manager::openai_provider(configuration.text("OPENAI_BASE_URL"),
                                                       configuration.text("OPENAI_API_KEY")),
                       worker_manager::factory_provider(configuration.text("FACTORY_API_BASE_URL"),
                                                        configuration.text("FACTORY_API_KEY"))};
        o.people = people_options();
        o.collect.bundle_bytes = configuration.bytes("BUNDLE_LIMIT");
        o.collect.unpacked_bytes = configuration.bytes("UNPACKED_LIMIT");
        return o;
    }

    // A company's network may have one between us and the providers.
    static Result<void> find_proxies(std::vector<worker_manager::ModelProvider>& providers) {
        for (auto& provider : providers) {
            auto url = http::parse_url(provider.base_url);
            if (!url) return std::unexpected(in_context(url.error(), "base URL of model provider " + provider.name));
            auto proxy = http::proxy_for(*url, [](std::string_view name) {
                const char* value = std::getenv(std::string(name).c_str());
                return value ? std::optional<std::string>(value) : std::nullopt;
            });
            if (!proxy) return std::unexpected(proxy.error());
            provider.proxy = std::move(*proxy);
        }
        return {};
    }

    worker_manager::PeopleOptions people_options() const {
        worker_manager::PeopleOptions o;
        // Both were checked by open().
        if (const auto address = parse_tcp("MANAGER_ADDRESS", configuration.text("MANAGER_ADDRESS"))) {
            o.address = address->host;
            o.port = address->port;
        }
        o.url = configuration.text("MANAGER_URL");
        o.evidence.record_bytes = static_cast<std::size_t>(configuration.bytes("WORKER_LOG_LIMIT"));
        o.evidence.total_bytes = configuration.bytes("WORKER_LOG_TOTAL");
        o.evidence.age = std::chrono::days(configuration.integer("WORKER_LOG_DAYS"));
        for (const auto& setting : settings())
            if (setting.kind == Setting::Kind::secret) o.secrets.push_back(configuration.text(setting.name));
        for (const auto* file : {"admin.token", "infra.token"}) {
            auto token = posix::read_file(state / file, 4096);
            if (!token) continue;
            while (token->ends_with('\n')) token->pop_back();
            o.secrets.push_back(std::move(*token));
        }
        return o;
    }
    Result<void> check_docker_capability() const {
        const auto value = configuration.text("DOCKER_CAPABILITY");
        const bool named = value.starts_with(kIsolatingRuntime) && is_host_name(value.substr(kIsolatingRuntime.size()));
        if (value == "refuse" || value == "socket" || named) return {};
        return fail(ErrorCategory::fatal, "configuration",
                    fmt::format("DOCKER_CAPABILITY is \"{}\": expected refuse, socket or runtime:NAME", value));
    }
    Result<void> check_people_options() const {
        if (const auto address = configuration.optional_text("MANAGER_ADDRESS"))
            if (auto parsed = parse_tcp("MANAGER_ADDRESS", *address); !parsed) return std::unexpected(parsed.error());
        if (const auto url = configuration.optional_text("MANAGER_URL"))
            if (auto parsed = http::parse_url(*url); !parsed)
                return fail(ErrorCategory::fatal, "configuration", "MANAGER_URL: " + parsed.error().message);
        return {};
    }

    // A role that ends with an error ends the process.
    void finished(std::string_view role, const Result<void>& outcome) {
        if (!outcome && !failure) failure = in_context(outcome.error(), role);
        ended.cancel();
    }
    Task<void> run_workflow() {
        auto outcome = co_await workflow->run();
        finished("workflow", outcome);
    }
    Task<void> run_scaffolder() {
        auto outcome = co_await scaffolder->run();
        finished("scaffolder", outcome);
    }
    Task<void> run_manager() {
        auto outcome = co_await manager->run();
        finished("worker-manager", outcome);
    }
    Task<void> run_infra() {
        auto outcome = co_await infra->run();
        finished("infra-service", outcome);
    }
    Result<void> open_infra(const std::string& instance) {
        auto options = infra_options(configuration, state);
        if (!options) return std::unexpected(options.error());
        auto token = infra_token(configuration, state);
        if (!token) return std::unexpected(token.error());
        auto client = clients::ApiClient::make(executor, api_url(), *token);
        if (!client) return std::unexpected(in_context(client.error(), "API_URL"));
        options->redis = redis;
        options->instance = instance;
        options->work.playbooks = data_folder("services/infra-service/playbooks");
        infra = std::make_unique<infra::Service>(executor, *database, std::move(*client), std::move(*options));
        return {};
    }
};

Roles::Roles(asio::any_io_executor executor, const Configuration& configuration, const StateDirectory& state,
             redis::Address redis)
    : impl_(std::make_unique<Impl>(executor, configuration, state, std::move(redis))) {}
Roles::~Roles() = default;

Task<Result<std::string>> Roles::open(std::vector<std::string> names, bool shared) {
    auto& d = *impl_;
    auto has = [&](std::string_view name) { return std::ranges::find(names, name) != names.end(); };
    const auto store = d.configuration.optional_text("DATABASE_URL").value_or((d.state / "codegen.db").string());
    auto database =
        storage::is_postgres_url(store) ? storage::open_postgres(d.executor, store) : storage::open_sqlite(store);
    if (!database) co_return std::unexpected(in_context(database.error(), "database"));
    d.database = std::move(*database);
    for (const auto& name : names) {
        auto migrated = co_await migrate(d.database.get(), name);
        if (!migrated) co_return std::unexpected(migrated.error());
    }
    if (has("api")) {
        auto opened = co_await d.open_api(shared);
        if (!opened) co_return std::unexpected(opened.error());
    }
    if (names == std::vector<std::string>{"api"}) co_return std::string("==> roles: api");

    const auto token = d.service_token();
    if (!token) co_return std::unexpected(token.error());
    auto github = open_github(d.executor, d.configuration);
    if (!github) co_return std::unexpected(github.error());
    d.github = std::move(*github);
    // One `dev` a directory takes its pending entries over at once; copies of `serve` are told apart by their pid.
    const auto instance =
        shared ? fmt::format("{}-{}-{}", d.state.instance_id(), host_name(), ::getpid()) : d.state.instance_id();
    if (has("infra-service"))
        if (auto opened = d.open_infra(instance); !opened) co_return std::unexpected(opened.error());
    if (has("workflow")) {
        auto client = clients::ApiClient::make(d.executor, d.api_url(), *token);
        if (!client) co_return std::unexpected(in_context(client.error(), "API_URL"));
        workflow::ServiceOptions options;
        options.repositories = d.state / "repositories";
        options.redis = d.redis;
        options.instance = instance;
        auto retries = workflow::parse_retries(d.configuration.text("TASK_RETRIES"));
        if (!retries) co_return std::unexpected(in_context(retries.error(), "TASK_RETRIES"));
        options.policy.retries = std::move(*retries);
        options.policy.test_returns = static_cast<int>(d.configuration.integer("TEST_RETURNS"));
        options.policy.memory_default = d.configuration.bytes("WORKER_MEMORY_LIMIT");
        options.policy.memory_cap = d.configuration.bytes("WORKER_MEMORY_CAP");
        options.timings.test = std::chrono::seconds(d.configuration.integer("TEST_TIMEOUT"));
        options.timings.blocked_worker = std::chrono::seconds(d.configuration.integer("BLOCKED_WORKER"));
        options.policy.pull_requests = d.configuration.text("PULL_REQUESTS") == "on";
        if (options.policy.pull_requests && !d.github)
            co_return fail(
                ErrorCategory::fatal, "configuration",
                "PULL_REQUESTS is \"on\": GITHUB_ORG, GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY(_FILE) must be "
                "set as well");
        if (d.github) options.github = std::make_shared<clients::GitHubClient>(*d.github);
        if (!shared) options.scaffolding.served = has("scaffolder");
        d.workflow =
            std::make_unique<workflow::Service>(d.executor, *d.database, std::move(*client), std::move(options));
    }
    if (has("scaffolder")) {
        auto client = clients::ApiClient::make(d.executor, d.api_url(), *token);
        if (!client) co_return std::unexpected(in_context(client.error(), "API_URL"));
        auto made = make_scaffolder(d.executor, d.configuration,
                                    {d.state.path(), data_folder("templates"), data_folder("build/copier")}, d.redis,
                                    std::move(*client), instance, d.github);
        if (!made) co_return std::unexpected(made.error());
        d.scaffolder = std::move(*made);
        auto announced = co_await d.scaffolder->announce();
        if (!announced) log::warning("scaffolder not announced yet", {{"error", announced.error().message}});
    }
    if (has("worker-manager")) {
        auto lock = d.state.lock_role("worker-manager");
        if (!lock) co_return std::unexpected(lock.error());
        d.manager_lock = std::move(*lock);
        if (const auto host = d.configuration.text("CODEGEN_HOST"); !host.empty() && !is_host_name(host))
            co_return fail(ErrorCategory::fatal, "configuration",
                           fmt::format("CODEGEN_HOST is \"{}\": expected letters, digits, \"-\", \"_\" and \".\", at "
                                       "most 253",
                                       host));
        auto runtime = co_await d.choose_runtime();
        if (!runtime) co_return std::unexpected(runtime.error());
        // What the manager would refuse later is refused before anybody is told that this runs.
        if (auto rules = worker_manager::EgressRules::parse(d.configuration.list("EGRESS_ALLOW")); !rules)
            co_return std::unexpected(rules.error());
        if (auto docker = d.check_docker_capability(); !docker) co_return std::unexpected(docker.error());
        if (auto people = d.check_people_options(); !people) co_return std::unexpected(people.error());
        auto logins = parse_host_sessions(d.configuration.text("HOST_SESSIONS"), d.state.path());
        if (!logins) co_return std::unexpected(logins.error());
        d.host_sessions = std::move(*logins);
        auto options = d.manager_options(*token, (*runtime)->name() != "docker");
        if (auto found = d.find_proxies(options.providers); !found) co_return std::unexpected(found.error());
        if (auto fine = worker_manager::check_limits(options.limits, options.limit_caps); !fine)
            co_return std::unexpected(fine.error());
        d.manager =
            std::make_unique<worker_manager::Service>(d.executor, std::move(options), *d.database, std::move(*runtime));
    }
    co_return d.runtime_line.empty() ? std::string("==> roles without workers") : d.runtime_line;
}

Task<Result<void>> Roles::check_database() {
    if (!impl_->database) co_return Result<void>{};  // not opened yet
    auto answered = co_await impl_->database->query("SELECT 1 AS one");
    if (!answered) co_return std::unexpected(std::move(answered.error()));
    co_return Result<void>{};
}

Task<Result<void>> Roles::run() {
    auto& d = *impl_;
    d.ended.expires_at(asio::steady_timer::time_point::max());
    if (d.workflow) d.scope.spawn("workflow", d.run_workflow());
    if (d.scaffolder) d.scope.spawn("scaffolder", d.run_scaffolder());
    if (d.manager) d.scope.spawn("worker-manager", d.run_manager());
    if (d.infra) d.scope.spawn("infra-service", d.run_infra());
    co_await d.ended.async_wait(async::use_tuple);
    if (d.failure) co_return std::unexpected(*d.failure);
    co_return Result<void>{};
}

Task<void> Roles::stop() {
    auto& d = *impl_;
    if (d.workflow) d.workflow->stop();
    if (d.scaffolder) d.scaffolder->stop();
    if (d.infra) d.infra->stop();
    if (d.manager) co_await d.manager->stop();
    co_await d.scope.drain();
    if (d.server) co_await d.server->stop(kStopGrace);
    d.ended.cancel();
}

}  // namespace codegen::orchestratord
