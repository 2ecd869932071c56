// infra servers | incidents: what the API knows of the machines that projects are deployed on.
#include <fmt/format.h>

#include "packages/orchestrator-cli/command.hpp"
#include "shared/http/client.hpp"

namespace codegen::cli {
namespace {

struct Options {
    std::string status;
    std::string server;
    bool managed = false;
    bool active = false;
    int limit = 100;
};

std::string short_time(const std::optional<Timestamp>& time) {
    return time ? format_timestamp(*time).substr(0, 19) : std::string();
}

std::string used_of(std::int64_t used, std::int64_t capacity) {
    return capacity > 0 ? fmt::format("{}/{}", used, capacity) : std::string();
}

Task<Outcome> servers(Invocation invocation, Options options) {
    auto target = fmt::format("/api/servers?limit={}", options.limit);
    if (options.managed) target += "&is_managed=true";
    if (!options.status.empty()) target += "&status=" + http::percent_encode(options.status);
    auto found = co_await invocation.session->get<std::vector<contracts::Server>>(target);
    if (!found) co_return failed(found.error());
    std::vector<std::vector<std::string>> rows;
    for (const auto& server : *found)
        rows.push_back({printable(server.handle), std::string(json::name_of(server.status)),
                        printable(server.public_ip), server.is_managed ? "yes" : "no",
                        std::to_string(server.capacity_cpu), used_of(server.used_ram_mb, server.capacity_ram_mb),
                        used_of(server.used_disk_mb, server.capacity_disk_mb), short_time(server.last_health_check)});
    co_return Answer{
        json::to_value(*found), fmt::format("{} servers", found->size()),
        rows.empty() ? "no servers"
                     : table({"HANDLE", "STATUS", "ADDRESS", "MANAGED", "CPUS", "RAM MB", "DISK MB", "CHECKED"}, rows)};
}

Task<Outcome> incidents(Invocation invocation, Options options) {
    auto target =
        fmt::format("{}?limit={}", options.active ? "/api/incidents/active" : "/api/incidents", options.limit);
    if (!options.status.empty()) target += "&status=" + http::percent_encode(options.status);
    if (!options.server.empty()) target += "&server_handle=" + http::percent_encode(options.server);
    auto found = co_await invocation.session->get<std::vector<contracts::Incident>>(target);
    if (!found) co_return failed(found.error());
    std::vector<std::vector<std::string>> rows;
    for (const auto& incident : *found)
        rows.push_back({std::to_string(incident.id), printable(incident.server_handle),
                        std::string(json::name_of(incident.incident_type)),
                        std::string(json::name_of(incident.severity)), std::string(json::name_of(incident.status)),
                        short_time(incident.detected_at), one_line(incident.title.value_or(""), 60)});
    co_return Answer{json::to_value(*found), fmt::format("{} incidents", found->size()),
                     rows.empty() ? "no incidents"
                                  : table({"ID", "SERVER", "TYPE", "SEVERITY", "STATUS", "DETECTED", "TITLE"}, rows)};
}

template <class E>
CLI::IsMember names_of() {
    std::vector<std::string> names;
    const auto list = json::names_of<E>();
    for (std::string_view all = list; !all.empty();) {
        const auto end = std::min(all.find(", "), all.size());
        names.emplace_back(all.substr(0, end));
        all.remove_prefix(std::min(end + 2, all.size()));
    }
    return CLI::IsMember(names);
}

}  // namespace

void add_infra_commands(CLI::App& app, Chosen& chosen) {
    auto* group =
        app.add_subcommand("infra", "Servers that projects run on: server, servers, incidents")->require_subcommand(1);
    auto* server = add_server_commands(*group, chosen);
    auto options = std::make_shared<Options>();
    const auto limited = [&](CLI::App* command) {
        command->add_option("--limit", options->limit, "At most this many (default 100)")->check(CLI::Range(1, 500));
        return command;
    };
    // The same under both names.
    for (const auto& [parent, name, words] :
         {std::tuple{group, "servers", "infra servers"}, std::tuple{server, "list", "infra server list"}}) {
        auto* command = limited(parent->add_subcommand(name, "List servers"));
        command->add_flag("--managed", options->managed, "Only those that are managed from here");
        command->add_option("--status", options->status, "Only those with this status")
            ->check(names_of<contracts::ServerStatus>());
        command->footer(
            fmt::format("Examples:\n  orchestrator {0}\n  orchestrator {0} --managed --status ready", words));
        std::string permission(words);
        std::ranges::replace(permission, ' ', '.');
        command->callback([&chosen, options, permission] {
            chosen = Command{permission, [options](Invocation i) { return servers(std::move(i), *options); }};
        });
    }

    auto* incidents_command = limited(group->add_subcommand("incidents", "List incidents"));
    auto* active = incidents_command->add_flag("--active", options->active, "Only those that are not over");
    incidents_command->add_option("--status", options->status, "Only those with this status")
        ->check(names_of<contracts::IncidentStatus>())
        ->excludes(active);
    incidents_command->add_option("--server", options->server, "Only those of this server")->excludes(active);
    incidents_command->footer(
        "Examples:\n  orchestrator infra incidents --active\n  orchestrator infra incidents --server web-1");
    incidents_command->callback([&chosen, options] {
        chosen = Command{"infra.incidents", [options](Invocation i) { return incidents(std::move(i), *options); }};
    });
}

}  // namespace codegen::cli
