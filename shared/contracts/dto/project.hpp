// /api/projects.
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

struct Project {
    std::string id;  // uuid
    std::string name;
    std::optional<std::string> description;
    ProjectStatus status{};
    std::vector<ServiceModule> modules{ServiceModule::backend};
    std::optional<std::string> repository_url;
    std::optional<std::int64_t> github_repo_id;
    std::optional<std::int64_t> owner_id;  // users.id
    boost::json::object config;
    std::optional<boost::json::object> project_spec;
    std::optional<Timestamp> created_at;  // ours always has both; the older system's answers lack them
    std::optional<Timestamp> updated_at;

    static constexpr std::array<std::string_view, 2> defaulted{"modules", "config"};
};
BOOST_DESCRIBE_STRUCT(Project, (),
                      (id, name, description, status, modules, repository_url, github_repo_id, owner_id, config,
                       project_spec, created_at, updated_at))

// POST and PUT.
struct ProjectCreate {
    std::optional<std::string> id;  // made by the client
    std::string name;
    std::optional<std::string> description;
    ProjectStatus status = ProjectStatus::draft;
    std::vector<ServiceModule> modules{ServiceModule::backend};
    std::optional<std::string> repository_url;
    std::optional<std::int64_t> github_repo_id;
    std::optional<std::int64_t> owner_id;
    boost::json::object config;
    std::optional<boost::json::object> project_spec;

    static constexpr std::array<std::string_view, 3> defaulted{"status", "modules", "config"};
    static constexpr std::array<json::Rule, 2> rules{client_id("id"), display_name("name")};
};
BOOST_DESCRIBE_STRUCT(ProjectCreate, (),
                      (id, name, description, status, modules, repository_url, github_repo_id, owner_id, config,
                       project_spec))

// `name`, `status`, `modules` and `config` cannot be cleared: null is an error.
struct ProjectPatch {
    json::Patch<std::string> name;
    json::Patch<std::string> description;
    json::Patch<ProjectStatus> status;
    json::Patch<std::vector<ServiceModule>> modules;
    json::Patch<std::string> repository_url;
    json::Patch<std::int64_t> github_repo_id;
    json::Patch<std::int64_t> owner_id;
    json::Patch<boost::json::object> config;
    json::Patch<boost::json::object> project_spec;

    static constexpr std::array<json::Rule, 4> rules{display_name("name", true), not_cleared("status"),
                                                     not_cleared("modules"), not_cleared("config")};
};
BOOST_DESCRIBE_STRUCT(ProjectPatch, (),
                      (name, description, status, modules, repository_url, github_repo_id, owner_id, config,
                       project_spec))

}  // namespace codegen::contracts
