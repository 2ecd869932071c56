// infra server add | list | show | provision | remove: servers that are made ready from here. Works without a
// scheduler: what is asked for is written into the API and into provisioner:queue.
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "packages/orchestrator-cli/command.hpp"
#include "packages/orchestrator-cli/follow.hpp"
#include "packages/orchestrator-cli/task_start.hpp"
#include "shared/base/ids.hpp"
#include "shared/clients/api/pending.hpp"
#include "shared/http/client.hpp"

namespace codegen::cli {
namespace {

using contracts::Server;
using std::chrono::steady_clock;

constexpr std::size_t kLongestKey = 65536;
constexpr std::chrono::milliseconds kPoll{300};
constexpr std::string_view kHostKey = "ssh_host_key";

struct AddOptions {
    std::string handle;
    std::string host;
    std::string address;
    std::string user = "root";
    int port = 22;
    std::string key_file;
    std::string host_key;
    std::string provider;
    std::string provider_id;
    std::string system;
    std::string notes;
};

struct ProvisionOptions {
    std::string handle;
    bool force_reinstall = false;
    bool recover = false;
    bool new_host_key = false;
    WaitOptions wait;
};

std::string target_of(const std::string& handle, std::string_view rest = "") {
    return "/api/servers/" + http::percent_encode(handle) + std::string(rest);
}

std::string short_time(const std::optional<Timestamp>& time) {
    return time ? format_timestamp(*time).substr(0, 19) : std::string();
}

std::string label(const Server& server, std::string_view name) {
    const auto* value = server.labels.if_contains(name);
    if (!value) return {};
    return value->is_string() ? std::string(value->get_string()) : boost::json::serialize(*value);
}

// Never through a tool of a model: the file is this host's.
std::expected<std::string, Failure> read_key(const std::string& path) {
    if (std::getenv(std::string(kLiteralTexts).c_str()) != nullptr)
        return std::unexpected(usage("--ssh-key reads a file of this host: a person has to give it"));
    std::string text;
    if (path == "-") {
        auto given = read_text("--ssh-key", path, true);
        if (!given) return given;
        text = std::move(*given);
    } else {
        std::ifstream file(path, std::ios::binary);
        if (!file) return std::unexpected(usage(fmt::format("--ssh-key is \"{}\": {}", path, std::strerror(errno))));
        text.resize(kLongestKey + 1);
        file.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<std::size_t>(file.gcount()));
    }
    if (text.size() > kLongestKey || text.find("PRIVATE KEY-----") == text.npos)
        return std::unexpected(
            usage(fmt::format("--ssh-key is \"{}\": no private key in it (expected a file such as ~/.ssh/id_ed25519; "
                              "the one with .pub is the public half)",
                              path)));
    return text;
}

Answer shown(const Server& server, std::string message) {
    const auto text = fields({{"server", printable(server.handle)},
                              {"status", std::string(json::name_of(server.status))},
                              {"host", printable(server.host)},
                              {"address", printable(server.public_ip)},
                              {"user", printable(server.ssh_user)},
                              {"port", printable(label(server, "ssh_port"))},
                              {"host key", printable(label(server, kHostKey))},
                              {"provider", printable(label(server, "provider"))},
                              {"cpus", server.capacity_cpu > 0 ? std::to_string(server.capacity_cpu) : ""},
                              {"ram mb", server.capacity_ram_mb > 0 ? std::to_string(server.capacity_ram_mb) : ""},
                              {"attempts", std::to_string(server.provisioning_attempts)},
                              {"begun", short_time(server.provisioning_started_at)},
                              {"notes", printable(server.notes.value_or(""))}});
    return Answer{json::to_value(server), std::move(message), text};
}

Task<Outcome> add(Invocation invocation, AddOptions options) {
    contracts::ServerCreate body;
    body.handle = options.handle;
    body.host = options.host;
    body.public_ip = options.address.empty() ? options.host : options.address;
    body.ssh_user = options.user;
    body.is_managed = true;
    if (!options.system.empty()) body.os_template = options.system;
    if (!options.notes.empty()) body.notes = options.notes;
    if (options.port != 22) body.labels["ssh_port"] = options.port;
    if (!options.host_key.empty()) body.labels[kHostKey] = options.host_key;
    if (!options.provider.empty()) body.labels["provider"] = options.provider;
    if (!options.provider_id.empty()) body.labels["provider_id"] = options.provider_id;
    if (!options.key_file.empty()) {
        auto key = read_key(options.key_file);
        if (!key) co_return std::unexpected(key.error());
        body.ssh_key_enc = std::move(*key);
    }
    auto& session = *invocation.session;
    auto server = co_await session.send<Server>("POST", "/api/servers", json::write(body));
    if (!server && server.error().code == "conflict") {
        // One that was removed comes back under its name, with its history.
        auto known = co_await session.get<Server>(target_of(options.handle));
        if (!known) co_return failed(known.error());
        if (known->status != contracts::ServerStatus::decommissioned) co_return failed(server.error());
        auto changes = json::to_value(body).as_object();
        changes.erase("handle");
        for (const auto* name : {"ssh_key_enc", "os_template", "notes"})
            if (!changes.contains(name)) changes[name] = nullptr;
        server = co_await session.send<Server>("PATCH", target_of(options.handle), boost::json::serialize(changes));
    }
    if (!server) co_return failed(server.error());
    co_return shown(*server, fmt::format("server {} is added; make it ready: orchestrator infra server provision {}",
                                         server->handle, server->handle));
}

Task<Outcome> show(Invocation invocation, std::string handle) {
    auto& session = *invocation.session;
    auto server = co_await session.get<Server>(target_of(handle));
    if (!server) co_return failed(server.error());
    auto incidents = co_await session.get<std::vector<contracts::Incident>>("/api/incidents/active?server_handle=" +
                                                                            http::percent_encode(handle));
    if (!incidents) co_return failed(incidents.error());
    auto services = co_await session.get<std::vector<contracts::ServiceDeployment>>(target_of(handle, "/services"));
    if (!services) co_return failed(services.error());
    auto answer = shown(*server, fmt::format("server {} is {}", handle, json::name_of(server->status)));
    for (const auto& incident : *incidents)
        answer.text += fmt::format("incident {}: {}, {} since {}: {}\n", incident.id,
                                   json::name_of(incident.incident_type), json::name_of(incident.status),
                                   short_time(incident.detected_at), one_line(incident.title.value_or(""), 400));
    for (const auto& service : *services)
        answer.text += fmt::format("service {}: port {}, {}\n", printable(service.service_name), service.port,
                                   json::name_of(service.status));
    answer.data.as_object()["incidents"] = json::to_value(*incidents);
    answer.data.as_object()["services"] = json::to_value(*services);
    co_return answer;
}

// The entries of a stream after `last`, which moves on.
Task<Result<std::vector<redis::StreamEntry>>> next_entries(std::shared_ptr<Session> session, std::string stream,
                                                           std::string* last) {
    auto client = session->redis();
    if (!client) co_return std::unexpected(client.error());
    auto reply = co_await (*client)->command({"XRANGE", stream, "(" + *last, "+", "COUNT", "500"});
    if (!reply) co_return std::unexpected(reply.error());
    auto entries = redis::parse_entries(*reply, stream);
    if (!entries.empty()) *last = entries.back().id;
    co_return entries;
}

Task<Result<std::string>> last_id(std::shared_ptr<Session> session, std::string stream) {
    auto client = session->redis();
    if (!client) co_return std::unexpected(client.error());
    auto reply = co_await (*client)->command({"XREVRANGE", stream, "+", "-", "COUNT", "1"});
    if (!reply) co_return std::unexpected(reply.error());
    const auto entries = redis::parse_entries(*reply, stream);
    co_return entries.empty() ? std::string("0-0") : entries.front().id;
}

Task<Outcome> wait_for_result(Invocation invocation, ProvisionOptions options, std::string request_id,
                              std::string last) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(options.wait.seconds());
    const std::string stream(contracts::streams::kProvisionerResults);
    Follower follower(invocation.session, invocation.mode, request_id);
    while (true) {
        if (options.wait.follow) co_await follower.show(std::chrono::milliseconds(0));
        auto entries = co_await next_entries(invocation.session, stream, &last);
        if (!entries && entries.error().category != ErrorCategory::transient) co_return failed(entries.error());
        if (entries)
            for (const auto& entry : *entries) {
                const auto* data = entry.field("data");
                const auto result = data ? json::parse<contracts::ProvisionerResult>(*data)
                                         : json::Parsed<contracts::ProvisionerResult>(std::unexpect);
                if (!result || result->request_id != request_id) continue;
                if (options.wait.follow) co_await follower.show(std::chrono::milliseconds(0));
                if (result->status == contracts::ResultStatus::success)
                    co_return Answer{json::to_value(*result), fmt::format("server {} is ready", options.handle), {}};
                co_return std::unexpected(Failure{"provisioning_failed",
                                                  result->error.value_or("it failed without a reason"),
                                                  json::to_value(*result), kFailed});
            }
        if (steady_clock::now() >= deadline)
            co_return std::unexpected(Failure{
                "timeout",
                fmt::format(
                    "provisioning of server {} has not ended within {} s; it goes on: orchestrator infra server "
                    "show {}",
                    options.handle, options.wait.seconds(), options.handle),
                boost::json::object{{"request_id", request_id}}, kTimedOut});
        co_await async::sleep_for(kPoll);
    }
}

Task<Outcome> provision(Invocation invocation, ProvisionOptions options) {
    if (auto fitting = check_wait(options.wait); !fitting) co_return std::unexpected(fitting.error());
    auto& session = *invocation.session;
    auto taken = co_await check_taken(invocation.session, kProvisionerQueue);
    if (!taken) co_return std::unexpected(taken.error());
    auto server = co_await session.get<Server>(target_of(options.handle));
    if (!server) co_return failed(server.error());
    if (options.new_host_key && server->labels.contains(kHostKey)) {
        auto labels = server->labels;
        labels.erase(kHostKey);
        auto forgotten = co_await session.call("PATCH", target_of(options.handle),
                                               boost::json::serialize(boost::json::object{{"labels", labels}}));
        if (!forgotten) co_return failed(forgotten.error());
    }
    contracts::ProvisionerMessage message;
    message.correlation_id = current_correlation_id();
    message.server_handle = options.handle;
    message.force_reinstall = options.force_reinstall;
    message.is_recovery = options.recover;
    const bool wait = options.wait.wait || options.wait.follow;
    std::string last;
    if (wait) {
        auto found = co_await last_id(invocation.session, std::string(contracts::streams::kProvisionerResults));
        if (!found) co_return failed(found.error());
        last = std::move(*found);
    }
    if (!options.recover) {
        auto marked = co_await session.call(
            "POST", target_of(options.handle, options.force_reinstall ? "/force-rebuild" : "/provision"));
        if (!marked) co_return failed(marked.error());
    }
    auto queued = co_await session.keep_and_enqueue(clients::kPendingProvisionings, contracts::streams::kProvisioner,
                                                    json::write(message));
    if (!queued)
        co_return failed(
            in_context(queued.error(), fmt::format("server {} is marked but not queued: ask again", options.handle)));
    if (wait) co_return co_await wait_for_result(invocation, options, message.request_id, last);
    const auto line = fmt::format("server {} is queued for provisioning", options.handle);
    co_return Answer{boost::json::object{{"request_id", message.request_id}, {"server_handle", options.handle}}, line,
                     line + fmt::format("\nsee how it goes: orchestrator infra server show {}", options.handle)};
}

// Its incidents, ports and services stay on record; the key goes.
Task<Outcome> remove(Invocation invocation, std::string handle) {
    const boost::json::object changes{{"status", "decommissioned"}, {"is_managed", false}, {"ssh_key_enc", nullptr}};
    auto server =
        co_await invocation.session->send<Server>("PATCH", target_of(handle), boost::json::serialize(changes));
    if (!server) co_return failed(server.error());
    co_return Answer{
        json::to_value(*server),
        fmt::format("server {} is no longer managed from here; its key is deleted, nothing on it is changed", handle),
        {}};
}

}  // namespace

CLI::App* add_server_commands(CLI::App& infra, Chosen& chosen) {
    auto* group =
        infra.add_subcommand("server", "One server: add, list, show, provision, remove")->require_subcommand(1);
    auto options = std::make_shared<AddOptions>();
    auto* add_command = group->add_subcommand("add", "Enter a server that is to be managed from here");
    add_command->add_option("HANDLE", options->handle, "Its name here")->required();
    add_command->add_option("--host", options->host, "Its name or address")->required();
    add_command->add_option("--ip", options->address, "The address that SSH goes to; default the host");
    add_command->add_option("--user", options->user, "Whom to log in as: root, or who may use sudo without a password");
    add_command->add_option("--port", options->port, "Port of SSH (default 22)")->check(CLI::Range(1, 65535));
    add_command->add_option("--ssh-key", options->key_file,
                            "File with a private key that it lets in; kept encrypted, never shown");
    add_command->add_option("--host-key", options->host_key,
                            "Its host key, 'ssh-ed25519 AAAA...'; without one the first that shows itself is believed");
    add_command->add_option("--provider", options->provider, "Who can install it anew")
        ->check(CLI::IsMember({"manual", "time4vps"}));
    add_command->add_option("--provider-id", options->provider_id, "Its id there; default: found by its address");
    add_command->add_option("--os", options->system, "What the provider installs, in its words");
    add_command->add_option("--notes", options->notes, "For people");
    add_command->footer(
        "Examples:\n  orchestrator infra server add web-1 --host 203.0.113.10 --ssh-key ~/.ssh/id_ed25519\n"
        "  orchestrator infra server add web-2 --host web-2.example --user debian --port 2222");
    add_command->callback([&chosen, options] {
        chosen = Command{"infra.server.add", [options](Invocation i) { return add(std::move(i), *options); }};
    });

    auto handle = std::make_shared<std::string>();
    auto* show_command = group->add_subcommand("show", "Show one server, its open incidents and what runs on it");
    show_command->add_option("HANDLE", *handle, "The server's name")->required();
    show_command->footer("Example: orchestrator infra server show web-1");
    show_command->callback([&chosen, handle] {
        chosen = Command{"infra.server.show", [handle](Invocation i) { return show(std::move(i), *handle); }};
    });

    auto wanted = std::make_shared<ProvisionOptions>();
    auto* provision_command =
        group->add_subcommand("provision", "Make a server ready: packages, user, Docker, firewall, SSH, updates");
    provision_command->add_option("HANDLE", wanted->handle, "The server's name")->required();
    auto* force = provision_command->add_flag("--force-reinstall", wanted->force_reinstall,
                                              "Have its provider install it anew first: everything on it is lost");
    provision_command
        ->add_flag("--recover", wanted->recover,
                   "Get it working again instead: disk space, Docker, services, the containers that are deployed")
        ->excludes(force);
    provision_command->add_flag("--new-host-key", wanted->new_host_key,
                                "Forget its host key: it was installed anew, or moved");
    provision_command->add_flag("--wait", wanted->wait.wait, "Wait until it has ended");
    add_wait_options(provision_command, wanted->wait);
    provision_command->footer(
        "Examples:\n  orchestrator infra server provision web-1 --follow\n"
        "  orchestrator infra server provision web-1 --recover --wait");
    provision_command->callback([&chosen, wanted] {
        chosen = Command{"infra.server.provision", [wanted](Invocation i) { return provision(std::move(i), *wanted); }};
    });

    auto* remove_command = group->add_subcommand("remove", "Manage a server no longer, and delete its key");
    remove_command->add_option("HANDLE", *handle, "The server's name")->required();
    remove_command->footer("Example: orchestrator infra server remove web-1");
    remove_command->callback([&chosen, handle] {
        chosen = Command{"infra.server.remove", [handle](Invocation i) { return remove(std::move(i), *handle); }};
    });
    return group;
}

}  // namespace codegen::cli
