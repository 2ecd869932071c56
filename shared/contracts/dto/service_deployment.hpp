// /api/service-deployments.
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/timestamp.hpp"
#include "shared/contracts/rules.hpp"
#include "shared/contracts/vocabulary.hpp"
#include "shared/json/patch.hpp"

namespace codegen::contracts {

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

struct ServiceDeploymentCreate {
    std::string project_id;
    std::string service_name;
    std::string server_handle;
    std::int64_t port = 0;
    DeploymentStatus status = DeploymentStatus::pending;
    std::optional<std::string> url;
    std::optional<Timestamp> deployed_at;  // absent: now
    boost::json::object deployment_info;

    static constexpr std::array<std::string_view, 2> defaulted{"status", "deployment_info"};
    static constexpr std::array<json::Rule, 3> rules{contracts::port("port"), display_name("service_name"),
                                                     display_name("url")};
};
BOOST_DESCRIBE_STRUCT(ServiceDeploymentCreate, (),
                      (project_id, service_name, server_handle, port, status, url, deployed_at, deployment_info))

struct ServiceDeploymentPatch {
    json::Patch<std::string> service_name;
    json::Patch<std::string> server_handle;
    json::Patch<std::int64_t> port;
    json::Patch<DeploymentStatus> status;
    json::Patch<std::string> url;
    json::Patch<Timestamp> deployed_at;
    json::Patch<boost::json::object> deployment_info;

    static constexpr std::array<json::Rule, 7> rules{display_name("service_name", true),
                                                     not_cleared("server_handle"),
                                                     contracts::port("port", true),
                                                     not_cleared("status"),
                                                     display_name("url"),
                                                     not_cleared("deployed_at"),
                                                     not_cleared("deployment_info")};
};
BOOST_DESCRIBE_STRUCT(ServiceDeploymentPatch, (),
                      (service_name, server_handle, port, status, url, deployed_at, deployment_info))

}  // namespace codegen::contracts
