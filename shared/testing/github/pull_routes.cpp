// https://docs.github.com/en/rest/pulls/pulls, https://docs.github.com/en/rest/branches/branch-protection
#include <fmt/format.h>

#include <algorithm>

#include "shared/testing/github/world.hpp"

namespace codegen::testing::github {
namespace {

Task<std::string> head_of(Hosted hosted, std::string branch) {
    auto sha = co_await git_line(hosted.path, {"rev-parse", "--verify", "--quiet", "refs/heads/" + branch});
    co_return sha.value_or("");
}

Task<boost::json::object> pull_json(World* world, Hosted hosted, Pull pull) {
    auto head = co_await head_of(hosted, pull.head);
    auto base = co_await head_of(hosted, pull.base);
    const bool merged = !pull.merge_commit.empty();
    boost::json::object json{
        {"number", pull.number},
        {"state", merged ? "closed" : "open"},
        {"title", pull.title},
        {"body", pull.body},
        {"html_url",
         fmt::format("{}/{}/{}/pull/{}", world->base_url, world->options.organization, hosted.name, pull.number)},
        {"merged", merged},
        {"mergeable", merged ? boost::json::value(nullptr) : boost::json::value(true)},
        {"merge_commit_sha", merged ? boost::json::value(pull.merge_commit) : boost::json::value(nullptr)},
        {"head", {{"ref", pull.head}, {"sha", head}}},
        {"base", {{"ref", pull.base}, {"sha", base}}}};
    co_return json;
}

Pull* find_pull(World* world, const Exchange& exchange) {
    for (auto& pull : hosted_by(world, exchange).pulls)
        if (std::to_string(pull.number) == exchange.param("number")) return &pull;
    return nullptr;
}

Task<http::Response> create_pull(World* world, Exchange exchange) {
    auto& hosted = hosted_by(world, exchange);
    Pull pull;
    pull.title = exchange.text("title");
    pull.body = exchange.text("body");
    pull.head = exchange.text("head");
    pull.base = exchange.text("base");
    auto head = co_await head_of(hosted, pull.head);
    auto base = co_await head_of(hosted, pull.base);
    if (head.empty()) co_return refuse_field("PullRequest", "head", "invalid", "");
    if (base.empty()) co_return refuse_field("PullRequest", "base", "invalid", "");
    if (head == base)
        co_return refuse_field("PullRequest", "", "custom",
                               fmt::format("No commits between {} and {}", pull.base, pull.head));
    for (const auto& other : hosted.pulls)
        if (other.head == pull.head && other.base == pull.base && other.merge_commit.empty())
            co_return refuse_field(
                "PullRequest", "", "custom",
                fmt::format("A pull request already exists for {}:{}.", world->options.organization, pull.head));
    pull.number = static_cast<std::int64_t>(hosted.pulls.size()) + 1;
    hosted.pulls.push_back(pull);
    auto json = co_await pull_json(world, hosted, pull);
    co_return answer(201, json);
}

Task<http::Response> list_pulls(World* world, Exchange exchange) {
    const auto hosted = hosted_by(world, exchange);
    boost::json::array all;
    for (const auto& pull : hosted.pulls) {
        const bool open = pull.merge_commit.empty();
        const auto head = exchange.query("head");
        const auto base = exchange.query("base");
        if ((exchange.query("state", "open") == "open" && !open) || (!base.empty() && base != pull.base) ||
            (!head.empty() && head != world->options.organization + ":" + pull.head))
            continue;
        auto json = co_await pull_json(world, hosted, pull);
        all.push_back(std::move(json));
    }
    co_return page(*world, exchange, all);
}

Task<http::Response> get_pull(World* world, Exchange exchange) {
    const auto* pull = find_pull(world, exchange);
    if (!pull) co_return refuse(404, "Not Found");
    auto json = co_await pull_json(world, hosted_by(world, exchange), *pull);
    co_return answer(200, json);
}

Task<http::Response> merge_pull(World* world, Exchange exchange) {
    auto* pull = find_pull(world, exchange);
    if (!pull) co_return refuse(404, "Not Found");
    const auto hosted = hosted_by(world, exchange);
    if (!pull->merge_commit.empty()) co_return refuse(405, "Pull Request is not mergeable");
    auto head = co_await head_of(hosted, pull->head);
    if (exchange.text("sha") != head)
        co_return refuse(409, "Head branch was modified. Review and try the merge again.");
    co_await git(hosted.path, {"update-ref", "refs/heads/" + pull->base, head});
    pull->merge_commit = head;
    co_return answer(200, {{"sha", head}, {"merged", true}, {"message", "Pull Request successfully merged"}});
}

Task<http::Response> list_checks(World* world, Exchange exchange) {
    co_return page(*world, exchange, hosted_by(world, exchange).checks, "check_runs");
}

Task<http::Response> put_protection(World* world, Exchange exchange) {
    auto& hosted = hosted_by(world, exchange);
    const auto& body = exchange.body.as_object();
    for (const auto* field :
         {"required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions"})
        if (!body.contains(field))
            co_return refuse(422, fmt::format("Invalid request. \"{}\" wasn't supplied.", field));
    const auto branch = exchange.param("branch");
    auto head = co_await head_of(hosted, branch);
    if (head.empty()) co_return refuse(404, "Branch not found");
    auto rules = body;
    rules["enforce_admins"] = boost::json::object{{"enabled", body.at("enforce_admins")}};
    for (const auto* field : {"required_status_checks", "required_pull_request_reviews", "restrictions"})
        if (rules.at(field).is_null()) rules.erase(field);
    hosted_by(world, exchange).protections[branch] = rules;
    co_return answer(200, rules);
}

Task<http::Response> get_protection(World* world, Exchange exchange) {
    const auto& all = hosted_by(world, exchange).protections;
    const auto found = all.find(exchange.param("branch"));
    if (found == all.end()) co_return refuse(404, "Branch not protected");
    co_return answer(200, found->second);
}

Task<http::Response> delete_protection(World* world, Exchange exchange) {
    if (hosted_by(world, exchange).protections.erase(exchange.param("branch")) == 0)
        co_return refuse(404, "Branch not protected");
    co_return nothing();
}

}  // namespace

void add_pull_routes(World& world, http::Router& router) {
    const std::string base = "/repos/{owner}/{repo}";
    world.add(router, "POST", base + "/pulls", "pull_requests", "write", create_pull);
    world.add(router, "GET", base + "/pulls", "pull_requests", "read", list_pulls);
    world.add(router, "GET", base + "/pulls/{number}", "pull_requests", "read", get_pull);
    world.add(router, "PUT", base + "/pulls/{number}/merge", "contents", "write", merge_pull);
    world.add(router, "GET", base + "/commits/{ref}/check-runs", "checks", "read", list_checks);
    world.add(router, "PUT", base + "/branches/{branch}/protection", "administration", "write", put_protection);
    world.add(router, "GET", base + "/branches/{branch}/protection", "administration", "read", get_protection);
    world.add(router, "DELETE", base + "/branches/{branch}/protection", "administration", "write", delete_protection);
}

}  // namespace codegen::testing::github
