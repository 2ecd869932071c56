// /api/hosts, servers, allocations, incidents, service-deployments.
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/timestamp.hpp"
#include "shared/contracts/vocabulary.hpp"

namespace codegen::contracts {

struct Host {
    std::string name;
    std::string manager_url;
    std::int64_t capacity = 0;
    Timestamp last_seen{};
};
BOOST_DESCRIBE_STRUCT(Host, (), (name, manager_url, capacity, last_seen))

struct Server {
    std::string handle;  // key
    std::string host;
    std::string public_ip;
    std::string ssh_user = "root";
    std::optional<std::string> ssh_key_enc;  // never returned
    std::int64_t capacity_cpu = 0;
    std::int64_t capacity_ram_mb = 0;
    std::int64_t capacity_disk_mb = 0;
    std::int64_t used_ram_mb = 0;
    std::int64_t used_disk_mb = 0;
    std::optional<std::string> os_template;
    bool is_managed = false;
    ServerStatus status{};
    std::optional<std::string> notes;
    std::optional<Timestamp> last_health_check;
    std::int64_t provisioning_attempts = 0;
    std::optional<Timestamp> provisioning_started_at;
    std::optional<Timestamp> last_incident;
    boost::json::object labels;

    static constexpr std::array<std::string_view, 1> defaulted{"ssh_user"};
};
BOOST_DESCRIBE_STRUCT(Server, (),
                      (handle, host, public_ip, ssh_user, ssh_key_enc, capacity_cpu, capacity_ram_mb, capacity_disk_mb,
                       used_ram_mb, used_disk_mb, os_template, is_managed, status, notes, last_health_check,
                       provisioning_attempts, provisioning_started_at, last_incident, labels))

struct Allocation {
    std::int64_t id = 0;
    std::string server_handle;
    std::int64_t port = 0;  // unique per server
    std::optional<std::string> project_id;
    std::string service_name;
    Timestamp allocated_at{};
};
BOOST_DESCRIBE_STRUCT(Allocation, (), (id, server_handle, port, project_id, service_name, allocated_at))

struct Incident {
    std::int64_t id = 0;
    std::string server_handle;
    IncidentType incident_type{};
    IncidentSeverity severity{};
    IncidentStatus status{};
    std::optional<std::string> title;
    Timestamp detected_at{};
    std::optional<Timestamp> resolved_at;
    boost::json::object details;
    std::vector<std::string> affected_services;
    std::int64_t recovery_attempts = 0;
};
BOOST_DESCRIBE_STRUCT(Incident, (),
                      (id, server_handle, incident_type, severity, status, title, detected_at, resolved_at, details,
                       affected_services, recovery_attempts))

struct ServiceDeployment {
    std::int64_t id = 0;
    std::string project_id;
    std::string service_name;
    std::string server_handle;
    std::int64_t port = 0;
    DeploymentStatus status{};
    std::optional<std::string> url;
    Timestamp deployed_at{};
    boost::json::object deployment_info;
};
BOOST_DESCRIBE_STRUCT(ServiceDeployment, (),
                      (id, project_id, service_name, server_handle, port, status, url, deployed_at, deployment_info))

}  // namespace codegen::contracts
