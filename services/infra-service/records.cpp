#include "services/infra-service/records.hpp"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "shared/clients/api/pending.hpp"
#include "shared/http/url.hpp"

namespace codegen::infra {
namespace {

using contracts::IncidentStatus;
using contracts::IncidentType;

constexpr std::string_view kOwnKey = "/api/api-keys/infra-ssh";
constexpr std::size_t kLongestTitle = 500;

std::string address(const std::string& handle, std::string_view rest = "") {
    return "/api/servers/" + http::percent_encode(handle) + std::string(rest);
}

std::string name(auto value) { return std::string(json::name_of(value)); }

}  // namespace

std::string label(const contracts::Server& server, std::string_view name) {
    const auto* value = server.labels.if_contains(name);
    if (!value) return {};
    if (value->is_string()) return std::string(value->get_string());
    return value->is_int64() ? std::to_string(value->get_int64()) : std::string();
}

Task<Result<void>> Records::patch(std::string target, boost::json::object changes) {
    auto done = co_await api_.call("PATCH", std::move(target), boost::json::serialize(changes));
    if (!done) co_return std::unexpected(done.error());
    co_return Result<void>();
}

Task<Result<contracts::Server>> Records::server(std::string handle) {
    co_return co_await api_.get<contracts::Server>(address(handle));
}

Task<Result<void>> Records::begin(contracts::Server server, bool recovery, Timestamp now) {
    auto begun = co_await patch(address(server.handle), {{"status", name(contracts::ServerStatus::provisioning)},
                                                         {"provisioning_attempts", server.provisioning_attempts + 1},
                                                         {"provisioning_started_at", format_timestamp(now)}});
    if (!begun || !recovery) co_return begun;
    auto incidents = co_await active(server.handle);
    if (!incidents) co_return std::unexpected(incidents.error());
    for (const auto& incident : *incidents) {
        auto changed = co_await patch(
            fmt::format("/api/incidents/{}", incident.id),
            {{"status", name(IncidentStatus::recovering)}, {"recovery_attempts", incident.recovery_attempts + 1}});
        if (!changed) co_return changed;
    }
    co_return Result<void>();
}

Task<Result<std::optional<std::string>>> Records::private_key(std::string handle) {
    auto key = co_await api_.get<contracts::ServerKey>(address(handle, "/ssh-key"));
    if (key) co_return std::optional(std::move(key->private_key));
    if (key.error().code == "not_found") co_return std::optional<std::string>();
    co_return std::unexpected(key.error());
}

Task<Result<std::optional<std::string>>> Records::own_key() {
    auto key = co_await api_.get<contracts::ApiKeyValue>(std::string(kOwnKey));
    if (key) co_return std::optional(std::move(key->value));
    if (key.error().code == "not_found") co_return std::optional<std::string>();
    co_return std::unexpected(key.error());
}

Task<Result<void>> Records::keep_own_key(std::string private_key) {
    contracts::ApiKeyCreate body;
    body.service = "infra-ssh";
    body.value = std::move(private_key);
    body.type = contracts::ApiKeyType::system;
    auto kept = co_await api_.call("POST", "/api/api-keys", json::write(body));
    if (!kept) co_return std::unexpected(kept.error());
    co_return Result<void>();
}

Task<Result<void>> Records::keep_host_key(std::string handle, std::string key) {
    auto changed =
        co_await api_.change<contracts::Server>(address(handle), [key = std::move(key)](const contracts::Server& now) {
            if (label(now, kHostKeyLabel) == key) return boost::json::object();
            auto labels = now.labels;
            labels.erase(kHostKeyLabel);
            if (!key.empty()) labels[kHostKeyLabel] = key;
            return boost::json::object{{"labels", std::move(labels)}};
        });
    co_return changed;
}

Task<Result<void>> Records::keep_facts(std::string handle, HostFacts facts) {
    boost::json::object changes{{"last_health_check", format_timestamp(system_now())}};
    if (facts.cpus > 0) changes["capacity_cpu"] = facts.cpus;
    if (facts.ram_mb > 0) {
        changes["capacity_ram_mb"] = facts.ram_mb;
        changes["used_ram_mb"] = std::max<std::int64_t>(0, facts.ram_mb - facts.ram_free_mb);
    }
    if (facts.disk_mb > 0) {
        changes["capacity_disk_mb"] = facts.disk_mb;
        changes["used_disk_mb"] = std::max<std::int64_t>(0, facts.disk_mb - facts.disk_free_mb);
    }
    co_return co_await patch(address(handle), std::move(changes));
}

Task<Result<std::vector<contracts::ServiceDeployment>>> Records::deployments(std::string handle) {
    std::vector<contracts::ServiceDeployment> out;
    std::optional<std::string> target = address(handle, "/services?limit=500");
    while (target) {
        auto page = co_await api_.page(*target);
        if (!page) co_return std::unexpected(page.error());
        auto parsed = json::parse<std::vector<contracts::ServiceDeployment>>(page->body);
        if (!parsed) co_return std::unexpected(in_context(invalid(parsed.error()), "answer of the API"));
        std::ranges::move(*parsed, std::back_inserter(out));
        target = std::move(page->next);
    }
    co_return out;
}

Task<Result<void>> Records::set_deployment(std::int64_t id, contracts::DeploymentStatus status) {
    co_return co_await patch(fmt::format("/api/service-deployments/{}", id), {{"status", name(status)}});
}

Task<Result<std::vector<std::int64_t>>> Records::ports(std::string handle) {
    std::vector<std::int64_t> out;
    std::optional<std::string> target = address(handle, "/ports?limit=500");
    while (target) {
        auto page = co_await api_.page(*target);
        if (!page) co_return std::unexpected(page.error());
        auto parsed = json::parse<std::vector<contracts::Allocation>>(page->body);
        if (!parsed) co_return std::unexpected(in_context(invalid(parsed.error()), "answer of the API"));
        for (const auto& each : *parsed) out.push_back(each.port);
        target = std::move(page->next);
    }
    co_return out;
}

Task<Result<std::vector<contracts::ProvisionerMessage>>> Records::pending(Timestamp before) {
    co_return co_await clients::pending<contracts::ProvisionerMessage>(&api_, clients::kPendingProvisionings, before);
}

Task<Result<void>> Records::taken(std::string request_id) {
    co_return co_await clients::forget_pending(&api_, clients::kPendingProvisionings, std::move(request_id));
}

Task<Result<std::vector<contracts::Incident>>> Records::active(std::string handle) {
    co_return co_await api_.get<std::vector<contracts::Incident>>("/api/incidents/active?limit=500&server_handle=" +
                                                                  http::percent_encode(handle));
}

// One open incident of a kind: the one that is there is written on.
Task<Result<void>> Records::open(std::string handle, Ending ending, std::vector<contracts::Incident> active,
                                 Timestamp now) {
    // What went well may leave services behind that do not run.
    auto why = ending.result.error.value_or("");
    if (why.empty() && ending.result.errors && !ending.result.errors->empty()) why = ending.result.errors->front();
    const auto title = why.substr(0, kLongestTitle);
    boost::json::object details{{"request_id", ending.result.request_id}, {"error", why}};
    if (ending.result.errors) details["errors"] = boost::json::value_from(*ending.result.errors);
    for (const auto& incident : active)
        if (incident.incident_type == *ending.incident)
            co_return co_await patch(
                fmt::format("/api/incidents/{}", incident.id),
                {{"status", name(IncidentStatus::detected)}, {"title", title}, {"details", std::move(details)}});
    contracts::IncidentCreate body;
    body.server_handle = handle;
    body.incident_type = *ending.incident;
    body.severity = contracts::IncidentSeverity::high;
    body.title = title;
    body.detected_at = now;
    body.details = std::move(details);
    auto made = co_await api_.call("POST", "/api/incidents", json::write(body));
    if (!made) co_return std::unexpected(made.error());
    co_return co_await patch(address(handle), {{"last_incident", format_timestamp(now)}});
}

Task<Result<void>> Records::tell(std::string handle, Ending ending, Timestamp now) {
    auto incidents = co_await active(handle);
    if (!incidents) co_return std::unexpected(incidents.error());
    if (ending.incident) {
        auto opened = co_await open(handle, ending, *incidents, now);
        if (!opened) co_return opened;
    }
    const bool reached = ending.incident != IncidentType::server_unreachable;
    for (const auto& incident : *incidents) {
        if (incident.incident_type == ending.incident) continue;
        const bool over = incident.incident_type == IncidentType::server_unreachable ? reached
                          : incident.incident_type == IncidentType::provisioning_failed
                              ? !ending.incident || ending.incident == IncidentType::service_down
                              : !ending.incident && ending.recovery;
        // What a recovery began and did not end is as it was.
        const auto status = over ? IncidentStatus::resolved : IncidentStatus::detected;
        if (incident.status == status) continue;
        auto changed = co_await patch(fmt::format("/api/incidents/{}", incident.id), {{"status", name(status)}});
        if (!changed) co_return changed;
    }
    co_return co_await patch(address(handle), {{"status", name(ending.status)}});
}

}  // namespace codegen::infra
