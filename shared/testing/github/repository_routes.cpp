// https://docs.github.com/en/rest/repos/repos
#include <fmt/format.h>

#include <system_error>

#include "shared/testing/github/world.hpp"

namespace codegen::testing::github {
namespace {

Task<http::Response> create_repository(World* world, Exchange exchange) {
    const auto name = exchange.text("name");
    if (exchange.param("org") != world->options.organization) co_return refuse(404, "Not Found");
    if (name.empty()) co_return refuse_field("Repository", "name", "missing_field", "");
    if (world->repositories.contains(name))
        co_return refuse_field("Repository", "name", "custom", "name already exists on this account");
    Hosted made;
    made.id = world->next_id++;
    made.name = name;
    made.description = exchange.text("description");
    const auto* is_private = exchange.body.as_object().if_contains("private");
    made.is_private = is_private && is_private->is_bool() && is_private->get_bool();
    made.path = world->directory / world->options.organization / (name + ".git");
    world->repositories[name] = made;
    co_await make_bare(made.path, made.default_branch);
    co_return answer(201, repository_json(*world, made));
}

Task<http::Response> get_repository(World* world, Exchange exchange) {
    co_return answer(200, repository_json(*world, *world->hosted(exchange.param("owner"), exchange.param("repo"))));
}

Task<http::Response> list_repositories(World* world, Exchange exchange) {
    if (exchange.param("org") != world->options.organization) co_return refuse(404, "Not Found");
    boost::json::array all;
    for (const auto& [name, hosted] : world->repositories) all.push_back(repository_json(*world, hosted));
    co_return page(*world, exchange, all);
}

Task<http::Response> delete_repository(World* world, Exchange exchange) {
    auto* hosted = world->hosted(exchange.param("owner"), exchange.param("repo"));
    std::error_code ignored;
    std::filesystem::remove_all(hosted->path, ignored);
    world->repositories.erase(hosted->name);
    co_return nothing();
}

}  // namespace

boost::json::object repository_json(const World& world, const Hosted& hosted) {
    const auto full = world.options.organization + "/" + hosted.name;
    return {{"id", hosted.id},
            {"name", hosted.name},
            {"full_name", full},
            {"private", hosted.is_private},
            {"visibility", hosted.is_private ? "private" : "public"},
            {"owner", {{"login", world.options.organization}, {"type", "Organization"}}},
            {"html_url", fmt::format("{}/{}", world.base_url, full)},
            {"clone_url", fmt::format("{}/{}.git", world.base_url, full)},
            {"default_branch", hosted.default_branch},
            {"archived", false},
            {"size", 0},
            {"description",
             hosted.description.empty() ? boost::json::value(nullptr) : boost::json::value(hosted.description)}};
}

void add_repository_routes(World& world, http::Router& router) {
    world.add(router, "POST", "/orgs/{org}/repos", "administration", "write", create_repository);
    world.add(router, "GET", "/orgs/{org}/repos", "metadata", "read", list_repositories);
    world.add(router, "GET", "/repos/{owner}/{repo}", "metadata", "read", get_repository);
    world.add(router, "DELETE", "/repos/{owner}/{repo}", "administration", "write", delete_repository);
}

}  // namespace codegen::testing::github
