// /api/hosts, servers, allocations, incidents.
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/contracts/rules.hpp"
#include "shared/contracts/vocabulary.hpp"
#include "shared/json/patch.hpp"

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

// `ssh_key_enc`: the private key; stored encrypted, never returned.
struct ServerCreate {
    std::string handle;
    std::string host;
    std::string public_ip;
    std::string ssh_user = "root";
    std::optional<std::string> ssh_key_enc;
    std::int64_t capacity_cpu = 0;
    std::int64_t capacity_ram_mb = 0;
    std::int64_t capacity_disk_mb = 0;
    std::int64_t used_ram_mb = 0;
    std::int64_t used_disk_mb = 0;
    std::optional<std::string> os_template;
    bool is_managed = false;
    ServerStatus status = ServerStatus::discovered;
    std::optional<std::string> notes;
    boost::json::object labels;

    static constexpr std::array<std::string_view, 9> defaulted{"ssh_user",         "capacity_cpu", "capacity_ram_mb",
                                                               "capacity_disk_mb", "used_ram_mb",  "used_disk_mb",
                                                               "is_managed",       "status",       "labels"};
    static constexpr std::array<json::Rule, 11> rules{key("handle"),
                                                      display_name("host"),
                                                      display_name("public_ip"),
                                                      display_name("ssh_user"),
                                                      long_text("ssh_key_enc"),
                                                      long_text("notes"),
                                                      amount("capacity_cpu"),
                                                      amount("capacity_ram_mb"),
                                                      amount("capacity_disk_mb"),
                                                      amount("used_ram_mb"),
                                                      amount("used_disk_mb")};
};
BOOST_DESCRIBE_STRUCT(ServerCreate, (),
                      (handle, host, public_ip, ssh_user, ssh_key_enc, capacity_cpu, capacity_ram_mb, capacity_disk_mb,
                       used_ram_mb, used_disk_mb, os_template, is_managed, status, notes, labels))

struct ServerPatch {
    json::Patch<std::string> host;
    json::Patch<std::string> public_ip;
    json::Patch<std::string> ssh_user;
    json::Patch<std::string> ssh_key_enc;
    json::Patch<std::int64_t> capacity_cpu;
    json::Patch<std::int64_t> capacity_ram_mb;
    json::Patch<std::int64_t> capacity_disk_mb;
    json::Patch<std::int64_t> used_ram_mb;
    json::Patch<std::int64_t> used_disk_mb;
    json::Patch<std::string> os_template;
    json::Patch<bool> is_managed;
    json::Patch<ServerStatus> status;
    json::Patch<std::string> notes;
    json::Patch<Timestamp> last_health_check;
    json::Patch<std::int64_t> provisioning_attempts;
    json::Patch<Timestamp> provisioning_started_at;
    json::Patch<Timestamp> last_incident;
    json::Patch<boost::json::object> labels;

    static constexpr std::array<json::Rule, 14> rules{display_name("host", true),
                                                      display_name("public_ip", true),
                                                      display_name("ssh_user", true),
                                                      long_text("ssh_key_enc"),
                                                      long_text("notes"),
                                                      amount("capacity_cpu", true),
                                                      amount("capacity_ram_mb", true),
                                                      amount("capacity_disk_mb", true),
                                                      amount("used_ram_mb", true),
                                                      amount("used_disk_mb", true),
                                                      amount("provisioning_attempts", true),
                                                      not_cleared("is_managed"),
                                                      not_cleared("status"),
                                                      not_cleared("labels")};
};
BOOST_DESCRIBE_STRUCT(ServerPatch, (),
                      (host, public_ip, ssh_user, ssh_key_enc, capacity_cpu, capacity_ram_mb, capacity_disk_mb,
                       used_ram_mb, used_disk_mb, os_template, is_managed, status, notes, last_health_check,
                       provisioning_attempts, provisioning_started_at, last_incident, labels))

// GET /servers/{handle}/ssh-key, the only answer that holds it.
struct ServerKey {
    std::string handle;
    std::string private_key;
};
BOOST_DESCRIBE_STRUCT(ServerKey, (), (handle, private_key))

struct Allocation {
    std::int64_t id = 0;
    std::string server_handle;
    std::int64_t port = 0;  // unique per server
    std::optional<std::string> project_id;
    std::string service_name;
    Timestamp allocated_at{};
};
BOOST_DESCRIBE_STRUCT(Allocation, (), (id, server_handle, port, project_id, service_name, allocated_at))

// POST /servers/{handle}/ports
struct AllocationCreate {
    std::int64_t port = 0;
    std::optional<std::string> project_id;
    std::string service_name;

    static constexpr std::array<json::Rule, 2> rules{contracts::port("port"), display_name("service_name")};
};
BOOST_DESCRIBE_STRUCT(AllocationCreate, (), (port, project_id, service_name))

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

struct IncidentCreate {
    std::string server_handle;
    IncidentType incident_type{};
    IncidentSeverity severity = IncidentSeverity::medium;
    IncidentStatus status = IncidentStatus::detected;
    std::optional<std::string> title;
    std::optional<Timestamp> detected_at;  // absent: now
    std::optional<Timestamp> resolved_at;
    boost::json::object details;
    std::vector<std::string> affected_services;

    static constexpr std::array<std::string_view, 4> defaulted{"severity", "status", "details", "affected_services"};
    static constexpr std::array<json::Rule, 1> rules{long_text("title")};
};
BOOST_DESCRIBE_STRUCT(IncidentCreate, (),
                      (server_handle, incident_type, severity, status, title, detected_at, resolved_at, details,
                       affected_services))

struct IncidentPatch {
    json::Patch<IncidentSeverity> severity;
    json::Patch<IncidentStatus> status;
    json::Patch<std::string> title;
    json::Patch<Timestamp> resolved_at;
    json::Patch<boost::json::object> details;
    json::Patch<std::vector<std::string>> affected_services;
    json::Patch<std::int64_t> recovery_attempts;

    static constexpr std::array<json::Rule, 6> rules{not_cleared("severity"),
                                                     not_cleared("status"),
                                                     not_cleared("details"),
                                                     not_cleared("affected_services"),
                                                     amount("recovery_attempts", true),
                                                     long_text("title")};
};
BOOST_DESCRIBE_STRUCT(IncidentPatch, (),
                      (severity, status, title, resolved_at, details, affected_services, recovery_attempts))

}  // namespace codegen::contracts
