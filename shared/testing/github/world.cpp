#include "shared/testing/github/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace codegen::testing::github {
namespace {

constexpr std::string_view kBearer = "Bearer ";

http::Reply reply(http::Response response) { return {.head = std::move(response), .body = {}, .upgrade = {}}; }

std::string_view bearer_of(const http::Request& request) {
    const auto field = request.headers.get("Authorization").value_or("");
    return field.starts_with(kBearer) ? field.substr(kBearer.size()) : std::string_view();
}

std::size_t number(const std::string& text) {
    std::size_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

struct Rule {
    std::string permission;
    std::string access;
    Route route;
};

Task<http::Reply> run_route(World* world, Rule rule, http::Request request, http::Match match) {
    Exchange exchange{std::move(request), std::move(match), {}, nullptr};
    if (!exchange.request.headers.get("User-Agent"))
        co_return reply(refuse(403,
                               "Request forbidden by administrative rules. Please make sure your request has a "
                               "User-Agent header"));
    if (!exchange.request.body.empty()) {
        boost::system::error_code error;
        exchange.body = boost::json::parse(exchange.request.body, error);
        if (error || !exchange.body.is_object()) co_return reply(refuse(400, "Problems parsing JSON"));
    }
    const std::string bearer(bearer_of(exchange.request));
    if (rule.permission == "app") {
        if (const auto wrong = check_app_token(*world, bearer)) co_return reply(refuse(401, *wrong));
    } else {
        const auto token = world->tokens.find(bearer);
        if (token == world->tokens.end() || token->second.expires <= world->now())
            co_return reply(refuse(401, "Bad credentials"));
        exchange.token = &token->second;
        if (const auto name = exchange.param("repo"); !name.empty())
            if (!world->hosted(exchange.param("owner"), name) || !world->sees(token->second, name))
                co_return reply(refuse(404, "Not Found"));
        if (!world->permits(token->second, rule.permission, rule.access))
            co_return reply(refuse(403, "Resource not accessible by integration"));
    }
    auto response = co_await rule.route(world, std::move(exchange));
    co_return reply(std::move(response));
}

}  // namespace

std::string Exchange::param(std::string_view name) const {
    const auto found = match.params.find(name);
    return found == match.params.end() ? std::string() : found->second;
}

std::string Exchange::query(std::string_view name, std::string otherwise) const {
    const auto found = match.query.find(name);
    return found == match.query.end() ? otherwise : found->second;
}

std::string Exchange::text(std::string_view member) const {
    const auto* object = body.if_object();
    const auto* value = object ? object->if_contains(member) : nullptr;
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

World::World(FakeGitHubOptions given) : options(std::move(given)) {
    std::tie(private_key, public_key) = make_key_pair();
    window_end = system_now() + std::chrono::hours(1);
}

Hosted* World::hosted(const std::string& owner, const std::string& name) {
    if (!http::same_name(owner, options.organization)) return nullptr;
    const auto found = repositories.find(name);
    return found == repositories.end() ? nullptr : &found->second;
}

Hosted& hosted_by(World* world, const Exchange& exchange) {
    return *world->hosted(exchange.param("owner"), exchange.param("repo"));
}

bool World::sees(const Token& token, const std::string& repository) const {
    return token.repositories.empty() || std::ranges::find(token.repositories, repository) != token.repositories.end();
}

bool World::permits(const Token& token, std::string_view permission, std::string_view access) const {
    const auto found = token.permissions.find(std::string(permission));
    return found != token.permissions.end() && (found->second == "write" || access == "read");
}

void World::add(http::Router& router, std::string_view method, std::string_view pattern, std::string permission,
                std::string access, Route route) {
    router.add(method, pattern,
               [this, rule = Rule{std::move(permission), std::move(access), route}](http::Request request,
                                                                                    http::Match match, http::Peer) {
                   return run_route(this, rule, std::move(request), std::move(match));
               });
}

http::Response answer(unsigned status, const boost::json::value& body) {
    auto response = http::json_response(status, body);
    response.headers.set("Content-Type", "application/json; charset=utf-8");
    return response;
}

http::Response refuse(unsigned status, std::string_view message) {
    return answer(status, {{"message", message}, {"documentation_url", "https://docs.github.com/rest"}});
}

http::Response refuse_field(std::string_view resource, std::string_view field, std::string_view code,
                            std::string_view message) {
    boost::json::object error{{"resource", resource}, {"field", field}, {"code", code}};
    if (!message.empty()) error["message"] = message;
    return answer(422, {{"message", "Validation Failed"}, {"errors", boost::json::array{error}}});
}

http::Response nothing() {
    http::Response response;
    response.status = 204;
    return response;
}

http::Response page(const World& world, const Exchange& exchange, const boost::json::array& items,
                    std::string_view member) {
    const auto size = std::clamp<std::size_t>(number(exchange.query("per_page", "30")), 1, 100);
    const auto at = std::max<std::size_t>(number(exchange.query("page", "1")), 1);
    boost::json::array some;
    for (auto i = (at - 1) * size; i < std::min(at * size, items.size()); ++i) some.push_back(items[i]);
    auto response = member.empty()
                        ? answer(200, some)
                        : answer(200, boost::json::object{{"total_count", items.size()}, {member, std::move(some)}});
    const auto last = std::max<std::size_t>((items.size() + size - 1) / size, 1);
    const auto& target = exchange.request.target;
    const auto link = [&](std::size_t number_of, std::string_view relation) {
        std::string query;
        for (const auto& [name, value] : exchange.match.query)
            if (name != "page") query += name + "=" + http::percent_encode(value) + "&";
        return fmt::format("<{}{}{}?{}page={}>; rel=\"{}\"", world.base_url, world.api_base(),
                           target.substr(0, target.find('?')), query, number_of, relation);
    };
    if (at < last) response.headers.set("Link", link(at + 1, "next") + ", " + link(last, "last"));
    return response;
}

}  // namespace codegen::testing::github
