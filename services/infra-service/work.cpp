#include "services/infra-service/work.hpp"

#include <fmt/format.h>

#include <charconv>

#include "shared/async/deadline.hpp"
#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::infra {
namespace {

using namespace std::chrono_literals;
using contracts::ServerStatus;
using std::chrono::steady_clock;

constexpr std::string_view kOwnKeyLease = "#own-key";
constexpr std::string_view kNotProvisioned = "not_all_started";
constexpr auto kContainerStart = 60s;
constexpr auto kQuestion = 30s;
constexpr auto kGrace = 5s;

// Ours: the API or the database is away, a token is refused, somebody stops this. Not the server's fault.
bool is_ours(const Error& error) {
    return error.category == ErrorCategory::fatal || error.code == "unavailable" || error.code == "cancelled" ||
           error.code == "busy";
}

// What a provider says is never ours.
std::unexpected<Error> of_provider(Error error) {
    if (error.code != "timeout") error.code = "provider";
    error.category = ErrorCategory::permanent;
    return std::unexpected(std::move(error));
}

bool is_container_name(std::string_view name) {
    return !name.empty() && name.size() <= 200 && name.front() != '-' && std::ranges::all_of(name, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
    });
}

// Docker says the reason first.
std::string first_line(std::string_view text, std::string otherwise) {
    const auto line = text.substr(0, std::min({text.find('\n'), text.size(), std::size_t{500}}));
    return line.empty() ? otherwise : std::string(line);
}

std::vector<std::string> containers_of(const contracts::ServiceDeployment& deployment) {
    std::vector<std::string> out;
    const auto add = [&](const boost::json::value& value) {
        if (value.is_string() && is_container_name(value.get_string())) out.emplace_back(value.get_string());
    };
    if (const auto* one = deployment.deployment_info.if_contains("container")) add(*one);
    if (const auto* many = deployment.deployment_info.if_contains("containers"); many && many->is_array())
        for (const auto& each : many->get_array()) add(each);
    return out;
}

}  // namespace

struct Work::Job {
    contracts::ProvisionerMessage message;
    contracts::Server server;
    Progress progress;
    steady_clock::time_point began = steady_clock::now();
    steady_clock::time_point deadline{};
    std::optional<RunDirectory> run{};
    std::optional<SshConnection> ssh{};
    std::string public_key{};
    std::vector<std::string> identity_files{};
    std::int64_t redeployed = 0;
    std::vector<std::string> errors{};
    bool in_use = false;  // something is deployed on it
    bool wiped = false;   // its disk was: nothing of what was deployed is there

    milliseconds left() const {
        return std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()));
    }
};

Work::Work(asio::any_io_executor executor, Records& records, Store& store, WorkOptions options)
    : executor_(std::move(executor)), records_(records), store_(store), options_(std::move(options)) {}

Task<Result<Ending>> Work::run(contracts::ProvisionerMessage message, contracts::Server server, Progress progress) {
    Job job{.message = std::move(message), .server = std::move(server), .progress = std::move(progress)};
    job.deadline = job.began + options_.time_limit;
    const auto handle = job.server.handle;
    // What has a limit of its own says more when it is reached.
    const auto limit = options_.time_limit * (job.message.force_reinstall ? 2 : 1) + kGrace;
    auto done = co_await async::with_timeout(steps(&job), limit, "provisioning of server " + handle);
    if (!done && is_ours(done.error())) co_return std::unexpected(done.error());
    co_return ending_of(job, done);
}

Task<Result<void>> Work::steps(Job* job) {
    if (job->server.status == ServerStatus::decommissioned)
        co_return fail(ErrorCategory::permanent, "invalid",
                       fmt::format("server {} is decommissioned: add it again first", job->server.handle));
    auto begun = co_await records_.begin(job->server, job->message.is_recovery, system_now());
    if (!begun) co_return begun;
    auto run = RunDirectory::make(options_.folder / "runs");
    if (!run) co_return std::unexpected(run.error());
    job->run.emplace(std::move(*run));
    auto keys = co_await prepare_keys(job);
    if (!keys) co_return keys;
    if (job->message.force_reinstall) {
        auto installed = co_await reinstall(job);
        if (!installed) co_return installed;
    }
    auto in = co_await log_in(job);
    if (!in) co_return in;
    auto played = co_await play(job);
    if (!played) co_return played;
    auto deployments = co_await records_.deployments(job->server.handle);
    if (!deployments) co_return std::unexpected(deployments.error());
    job->in_use = !job->wiped && !deployments->empty();
    if (!job->message.is_recovery) co_return Result<void>();
    co_return co_await redeploy(job);
}

// One pair for all servers, made when it is first needed, by one copy of the role.
Task<Result<std::string>> Work::own_key(const RunDirectory* run) {
    auto key = co_await records_.own_key();
    if (!key) co_return std::unexpected(key.error());
    if (*key) co_return std::move(**key);
    const Lease lease{std::string(kOwnKeyLease), new_uuid()};
    auto taken = co_await store_.take(lease, system_now(), system_now() + 30s);
    if (!taken) co_return std::unexpected(taken.error());
    if (!*taken) co_return fail(ErrorCategory::transient, "busy", "another copy is making the orchestrator's key");
    key = co_await records_.own_key();
    if (!key) co_return std::unexpected(key.error());
    if (!*key) {
        auto made = co_await make_key(run, "codegen-orchestrator");
        if (!made) co_return std::unexpected(made.error());
        auto kept = co_await records_.keep_own_key(*made);
        if (!kept) co_return std::unexpected(kept.error());
        log::info("a key pair for servers was made; its private half is kept encrypted", {});
        *key = std::move(*made);
    }
    auto given = co_await store_.give_back(lease);
    if (!given) co_return std::unexpected(given.error());
    co_return std::move(**key);
}

Task<Result<void>> Work::prepare_keys(Job* job) {
    auto own = co_await own_key(&*job->run);
    if (!own) co_return std::unexpected(own.error());
    auto half = co_await public_half(&*job->run, *own);
    if (!half) co_return std::unexpected(in_context(half.error(), "the orchestrator's key"));
    job->public_key = *half;
    auto file = job->run->write("own_key", as_key_file(std::move(*own)));
    if (!file) co_return std::unexpected(file.error());
    job->identity_files.push_back(file->string());

    auto key = co_await records_.private_key(job->server.handle);
    if (!key) co_return std::unexpected(key.error());
    if (!*key) co_return Result<void>();
    auto checked = co_await public_half(&*job->run, **key);
    if (!checked)
        co_return std::unexpected(
            in_context(checked.error(), fmt::format("the private key of server {}", job->server.handle)));
    file = job->run->write("server_key", as_key_file(std::move(**key)));
    if (!file) co_return std::unexpected(file.error());
    job->identity_files.push_back(file->string());
    co_return Result<void>();
}

Task<Result<void>> Work::reinstall(Job* job) {
    auto provider = provider_of(job->server, executor_, options_.time4vps);
    if (!provider) co_return of_provider(provider.error());
    job->progress("the provider installs the system anew");
    auto installed = co_await (*provider)->reinstall(job->server, job->public_key, job->left());
    // What takes too long goes on at the provider.
    job->wiped = installed || installed.error().code == "timeout";
    if (job->wiped) {
        auto noted = co_await lose_deployments(job);
        if (!noted) co_return noted;
    }
    if (!installed) co_return of_provider(installed.error());
    job->deadline = steady_clock::now() + options_.time_limit;  // the provider took its own time
    job->server.labels.erase(kHostKeyLabel);
    co_return co_await records_.keep_host_key(job->server.handle, "");
}

// They were on the disk. What somebody stopped does not run either way, and what is still to come may come.
Task<Result<void>> Work::lose_deployments(Job* job) {
    auto deployments = co_await records_.deployments(job->server.handle);
    if (!deployments) co_return std::unexpected(deployments.error());
    for (const auto& deployment : *deployments) {
        if (deployment.status == contracts::DeploymentStatus::stopped ||
            deployment.status == contracts::DeploymentStatus::pending)
            continue;
        job->errors.push_back(
            fmt::format("{}: it was on the disk of server {}, which was installed anew: deploy it again",
                        deployment.service_name, job->server.handle));
        auto noted = co_await records_.set_deployment(deployment.id, contracts::DeploymentStatus::failed);
        if (!noted) co_return noted;
    }
    co_return Result<void>();
}

SshTarget Work::target_of(const Job& job) const {
    SshTarget target;
    target.handle = job.server.handle;
    target.address = job.server.public_ip.empty() ? job.server.host : job.server.public_ip;
    target.user = job.server.ssh_user.empty() ? "root" : job.server.ssh_user;
    if (const auto port = label(job.server, kPortLabel); !port.empty()) {
        target.port = 0;  // refused when it is no number
        std::from_chars(port.data(), port.data() + port.size(), target.port);
    }
    target.identity_files = job.identity_files;
    target.known_hosts_file = (*job.run / "known_hosts").string();
    target.host_key_known = !label(job.server, kHostKeyLabel).empty();
    return target;
}

std::string Work::sudo_of(const Job& job) const { return target_of(job).user == "root" ? "" : "sudo -n "; }

Task<Result<void>> Work::log_in(Job* job) {
    auto target = target_of(*job);
    const auto known = label(job->server, kHostKeyLabel);
    if (!known.empty() && !is_public_key(known))  // written before the API looked
        co_return fail(ErrorCategory::permanent, "invalid",
                       fmt::format("labels.{} of server {} is no public key: remove it, or give it the server's",
                                   kHostKeyLabel, job->server.handle));
    auto hosts = job->run->write("known_hosts", known.empty() ? "" : fmt::format("{} {}\n", target.handle, known));
    if (!hosts) co_return std::unexpected(hosts.error());
    auto ssh = SshConnection::make(*job->run, target);
    if (!ssh) co_return std::unexpected(ssh.error());
    job->ssh.emplace(std::move(*ssh));
    job->progress(fmt::format("logging in as {} at {}:{}", target.user, target.address, target.port));
    const bool fresh = job->message.force_reinstall;
    auto reached = co_await job->ssh->reach(fresh ? options_.boot_waits : options_.ssh_waits);
    if (!reached && reached.error().code == kKeyRejected && fresh) {
        // The provider did not take the key: its password brings it there.
        job->progress("the provider sets a new password");
        auto provider = provider_of(job->server, executor_, options_.time4vps);
        if (!provider) co_return of_provider(provider.error());
        auto password = co_await (*provider)->reset_password(job->server, job->left());
        if (!password) co_return of_provider(password.error());
        auto with_password = target;
        with_password.user = "root";
        auto first = SshConnection::make(*job->run, std::move(with_password), *password);
        if (!first) co_return std::unexpected(first.error());
        auto entered = co_await first->reach(options_.boot_waits);
        if (!entered) co_return entered;
        auto installed = co_await first->install_key(job->public_key);
        if (!installed) co_return installed;
        reached = co_await job->ssh->reach(options_.ssh_waits);
    }
    if (!reached && reached.error().code == kKeyRejected)
        co_return std::unexpected(Error{reached.error().category,
                                        reached.error().code,
                                        fmt::format("{}. Add this line to authorized_keys of {} there: {}",
                                                    reached.error().message, target.user, job->public_key),
                                        {}});
    if (!reached) co_return reached;
    if (known.empty()) {
        auto seen = posix::read_file(*hosts, 65536);
        auto key = seen ? key_in_known_hosts(*seen, target.handle) : std::string();
        if (!key.empty()) {
            auto kept = co_await records_.keep_host_key(job->server.handle, key);
            if (!kept) co_return kept;
            log::info("first seen host key is believed from now on", {{"server", target.handle}, {"key", key}});
        }
    }
    co_return co_await job->ssh->install_key(job->public_key);
}

// The port that we dial may be one that somebody forwards: a firewall on the server sees another.
Task<Result<std::vector<int>>> Work::sshd_ports(Job* job) {
    auto said = co_await job->ssh->command(listening_question(sudo_of(*job)), {}, kQuestion);
    if (!said) co_return std::unexpected(said.error());
    co_return listening_ports(said->output);
}

Task<Result<void>> Work::play(Job* job) {
    auto ports = co_await records_.ports(job->server.handle);
    if (!ports) co_return std::unexpected(ports.error());
    const auto target = target_of(*job);
    auto listening = co_await sshd_ports(job);
    if (!listening) co_return std::unexpected(listening.error());
    boost::json::array open{target.port};
    for (const auto port : *listening)
        if (port != target.port) open.push_back(port);
    for (const auto port : options_.open_ports) open.push_back(port);
    for (const auto port : *ports) open.push_back(port);
    PlaybookRun wanted;
    wanted.program = options_.ansible;
    wanted.playbooks = options_.playbooks;
    wanted.playbook = job->message.is_recovery ? "recover.yml" : "provision.yml";
    wanted.handle = job->server.handle;
    wanted.ssh_config = job->ssh->config();
    wanted.become = target.user != "root";
    wanted.variables = {{"orchestrator_key", job->public_key},
                        {"deploy_user", options_.deploy_user},
                        {"packages", boost::json::value_from(options_.packages)},
                        {"open_ports", std::move(open)},
                        {"disk_limit_percent", options_.disk_limit_percent},
                        {"docker_patience", options_.docker_patience},
                        {"firewall_patience", options_.firewall_patience}};
    wanted.limit = job->left();
    wanted.on_task = [&progress = job->progress](const PlaybookReport& report) {
        progress(fmt::format("{}: {}", report.play(), report.task()));
    };
    auto report = co_await run_playbook(&*job->run, std::move(wanted));
    if (!report) co_return std::unexpected(report.error());
    log::info("playbook ended", {{"server", job->server.handle}, {"counts", report->counts_text()}});
    job->progress("done: " + report->counts_text());
    if (!report->facts()) co_return Result<void>();
    co_return co_await records_.keep_facts(job->server.handle, *report->facts());
}

// What runs now is started where it does not: the containers that a deployment's record names.
Task<Result<void>> Work::redeploy(Job* job) {
    auto deployments = co_await records_.deployments(job->server.handle);
    if (!deployments) co_return std::unexpected(deployments.error());
    for (const auto& deployment : *deployments) {
        if (deployment.status == contracts::DeploymentStatus::stopped ||
            deployment.status == contracts::DeploymentStatus::pending)
            continue;
        job->progress("starting " + deployment.service_name);
        auto started = co_await start_containers(job, deployment);
        if (!started && is_ours(started.error())) co_return started;
        if (!started) job->errors.push_back(fmt::format("{}: {}", deployment.service_name, started.error().message));
        if (started) ++job->redeployed;
        auto noted = co_await records_.set_deployment(
            deployment.id, started ? contracts::DeploymentStatus::running : contracts::DeploymentStatus::failed);
        if (!noted) co_return noted;
    }
    if (job->errors.empty()) co_return Result<void>();
    co_return fail(ErrorCategory::permanent, std::string(kNotProvisioned),
                   fmt::format("{} services of server {} do not run: {}", job->errors.size(), job->server.handle,
                               job->errors.front()));
}

Task<Result<void>> Work::start_containers(Job* job, contracts::ServiceDeployment deployment) {
    const auto containers = containers_of(deployment);
    if (containers.empty())
        co_return fail(ErrorCategory::permanent, "unknown", "its deployment_info names no container: deploy it again");
    const auto sudo = sudo_of(*job);
    for (const auto& name : containers) {
        auto done = co_await job->ssh->command(
            fmt::format("{0}docker start {1} >/dev/null && {0}docker inspect -f '{{{{.State.Running}}}}' {1}", sudo,
                        name),
            {}, kContainerStart);
        if (!done) co_return std::unexpected(done.error());
        if (!done->ok() || !done->output.starts_with("true"))
            co_return fail(ErrorCategory::permanent, "container",
                           fmt::format("container {}: {}", name,
                                       done->ok() ? "it stops again" : first_line(done->errors, done->describe())));
    }
    co_return Result<void>();
}

Ending Work::ending_of(const Job& job, const Result<void>& done) const {
    Ending out;
    out.recovery = job.message.is_recovery;
    out.result.request_id = job.message.request_id;
    out.result.server_handle = job.server.handle;
    out.result.server_ip = job.server.public_ip;
    out.result.services_redeployed = job.redeployed;
    out.result.duration_ms = std::chrono::duration_cast<milliseconds>(steady_clock::now() - job.began).count();
    if (!job.errors.empty()) out.result.errors = job.errors;
    out.status = job.in_use ? ServerStatus::in_use : ServerStatus::ready;
    out.result.status = contracts::ResultStatus::success;
    if (job.wiped && !job.errors.empty()) out.incident = contracts::IncidentType::service_down;
    if (done) return out;
    const auto& error = done.error();
    out.result.error = error.message;
    out.result.status = error.code == "timeout" ? contracts::ResultStatus::timeout : contracts::ResultStatus::failed;
    if (!out.result.errors) out.result.errors = std::vector<std::string>{error.message};
    if (error.code == kNotProvisioned) {  // the server itself is well
        out.incident = contracts::IncidentType::service_down;
        return out;
    }
    const bool away = error.code == kUnreachable;
    out.status = away ? ServerStatus::unreachable : ServerStatus::error;
    if (job.server.status == ServerStatus::decommissioned) {
        out.status = ServerStatus::decommissioned;
        return out;
    }
    out.incident = away ? contracts::IncidentType::server_unreachable : contracts::IncidentType::provisioning_failed;
    return out;
}

}  // namespace codegen::infra
