#include "services/api/route.hpp"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <set>

#include "shared/contracts/contract_reflection.hpp"

namespace codegen::api {
namespace {

const contracts::reflection::Contract* known_contract(std::string_view name) {
    static const auto all = [] {
        std::map<std::string_view, const contracts::reflection::Contract*> by_name;
        for (const auto& one : contracts::reflection::all_contracts()) by_name.emplace(one.name, &one);
        return by_name;
    }();
    const auto found = all.find(name);
    return found == all.end() ? nullptr : found->second;
}

std::string breach_of_body(const Body& body, const std::string& text) {
    const auto* contract = known_contract(body.name);
    if (!contract) return fmt::format("no contract {}", body.name);
    std::vector<std::string> elements{text};
    if (body.list) {
        const auto list = json::parse_any(text);
        if (!list || !list->is_array()) return "the body is no array";
        elements.clear();
        for (const auto& element : list->as_array()) elements.push_back(boost::json::serialize(element));
    }
    for (const auto& element : elements)
        if (const auto read = contract->rewrite(element); !read)
            return fmt::format("the body is no {}: {}", body.name, invalid(read.error()).message);
    return {};
}

}  // namespace

std::vector<std::string_view> path_parameters(const RouteSpec& spec) {
    std::vector<std::string_view> names;
    std::string_view rest = spec.pattern;
    for (auto open = rest.find('{'); open != std::string_view::npos; open = rest.find('{')) {
        rest.remove_prefix(open + 1);
        auto name = rest.substr(0, rest.find('}'));
        if (name.ends_with("...")) name.remove_suffix(3);
        names.push_back(name);
    }
    return names;
}

const json::Rule* path_rule(const RouteSpec& spec, std::string_view name) {
    const auto found = std::ranges::find(spec.contract.path, name, &json::Rule::field);
    return found == spec.contract.path.end() ? nullptr : &*found;
}

bool reads_query(const RouteSpec& spec, std::string_view name) {
    if (spec.contract.paged && (name == "limit" || name == "cursor")) return true;
    return std::ranges::any_of(spec.contract.query, [&](const auto& known) { return known.name == name; });
}

std::vector<unsigned> statuses_of(const RouteSpec& spec) {
    std::set<unsigned> statuses;
    for (const auto status : spec.contract.answers)
        if (status != 0) statuses.insert(status);
    statuses.insert(
        {400, 413, 500, 503});  // bad percent-encoding, a body over the limit, trouble of ours, the database
    if (spec.access != Access::open) statuses.insert({401, 403, 429});
    if (spec.method == "POST") statuses.insert({409, 422});  // of an Idempotency-Key
    if (!spec.contract.request.name.empty()) statuses.insert(422);
    if (spec.method == "PUT" || spec.method == "PATCH") statuses.insert(412);
    if (!spec.contract.path.front().field.empty()) statuses.insert(422);
    if (spec.contract.paged || !spec.contract.query.front().name.empty()) statuses.insert(422);
    return {statuses.begin(), statuses.end()};
}

const Body& response_of(const RouteSpec& spec, unsigned status) {
    return status == 201 && !spec.contract.created.name.empty() ? spec.contract.created : spec.contract.response;
}

std::string breach_of(const RouteSpec& spec, const http::Response& response) {
    const auto statuses = statuses_of(spec);
    if (std::ranges::find(statuses, response.status) == statuses.end())
        return fmt::format("status {} is not declared", response.status);
    if (response.status == 204) return response.body.empty() ? "" : "a body with 204";
    const auto type = response.headers.get("Content-Type").value_or("");
    const auto wanted = response.status < 300 ? spec.contract.media_type : "application/problem+json";
    // The health of a broken service is told as health.
    const bool own_trouble = response.status == 503 && type == spec.contract.media_type;
    if (type.substr(0, type.find(';')) != wanted.substr(0, wanted.find(';')) && !own_trouble)
        return fmt::format("content type \"{}\" is not declared, {} is", type, wanted);
    if (response.status >= 300 && !own_trouble) return breach_of_body({"ProblemDocument"}, response.body);
    const auto& body = response_of(spec, response.status);
    return body.name.empty() ? std::string() : breach_of_body(body, response.body);
}

}  // namespace codegen::api
