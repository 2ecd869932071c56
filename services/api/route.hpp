// What a route takes and answers, declared in the table of its resource. The service holds the handlers to it, and
// /openapi.json is made of it. A whole one:
//
//   {"GET", "/api/tasks", Access::everyone, "project.tasks", list,
//    {.summary = "Tasks that the caller may see", .response = list_of("TaskRecord"),
//     .query = {text("project_id"), integer("user_id"), one_of<TaskStatus>("status")}, .paged = true}},
//   {"POST", "/api/tasks", Access::everyone, "", create,
//    {.summary = "Start a task", .request = contract("TaskCreate"), .response = contract("TaskRecord"),
//     .answers = {201, 200, 409}}},
#pragma once
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "shared/async/async.hpp"
#include "shared/contracts/contract_name.hpp"
#include "shared/http/message.hpp"
#include "shared/json/enum.hpp"
#include "shared/json/rule.hpp"

namespace codegen::api {

struct Context;
using ResourceHandler = Task<http::Response> (*)(const Context*);

enum class Access {
    open,      // nobody needs a token
    loopback,  // as member, but open on loopback TCP
    member,    // every kind of token but worker; the handler checks the object
    everyone,  // and workers whose token allows one of `actions`
    control,   // who sees everything (Caller::sees_all)
    service,   // and services that act for a user
};

// A body: a contract of shared/contracts/contract_list.hpp, or a plain array of it. No name: no JSON body.
struct Body {
    std::string_view name;
    bool list = false;
};
// These do not compile for a name that is none.
consteval Body contract(std::string_view name) {
    if (std::ranges::find(contracts::kContractNames, name) == contracts::kContractNames.end()) throw "no such contract";
    return {name, false};
}
consteval Body list_of(std::string_view name) { return {contract(name).name, true}; }

struct QueryParameter {
    enum class Kind { text, integer, boolean, choice };
    std::string_view name;
    Kind kind = Kind::text;
    std::string (*choices)() = nullptr;  // choice: "a, b"
};
constexpr QueryParameter text(std::string_view name) { return {name, QueryParameter::Kind::text}; }
constexpr QueryParameter integer(std::string_view name) { return {name, QueryParameter::Kind::integer}; }
constexpr QueryParameter boolean(std::string_view name) { return {name, QueryParameter::Kind::boolean}; }
template <json::DescribedEnum E>
constexpr QueryParameter one_of(std::string_view name) {
    return {name, QueryParameter::Kind::choice, json::names_of<E>};
}

struct RouteContract {
    std::string_view summary{};                        // one line, for people
    Body request{};                                    // body_of<T>() refuses to read another T
    Body response{};                                   // of every 2xx answer but 204
    Body created{};                                    // of 201, where it is another one
    std::string_view media_type = "application/json";  // of `response`, and of an answer that has no contract
    std::array<QueryParameter, 10> query{};            // Context::query() refuses to read one that is not here
    std::array<json::Rule, 2> path{};                  // what path parameters must be; others are any text
    bool paged = false;                                // also `limit` and `cursor`, answered with a Link header
    // What the handler answers itself: its successes, and 404 or 409 where it says so. statuses_of() adds what comes
    // with access, body, query and path.
    std::array<unsigned, 8> answers{200};
};

struct RouteSpec {
    std::string_view method;
    std::string_view pattern;
    Access access;
    // Access::everyone: "a,b", one of which a worker's token must allow; "": the handler asks.
    std::string_view actions;
    ResourceHandler handler;
    RouteContract contract{};
};

std::vector<std::string_view> path_parameters(const RouteSpec& spec);  // "{id}" -> "id"; "{model_id...}" -> "model_id"
bool reads_query(const RouteSpec& spec, std::string_view name);
const json::Rule* path_rule(const RouteSpec& spec, std::string_view name);  // null: any text
// Every status that may leave, in order; HEAD answers as GET.
std::vector<unsigned> statuses_of(const RouteSpec& spec);
const Body& response_of(const RouteSpec& spec, unsigned status);  // of a 2xx
// What in `response` the route's declaration does not allow: a status, a media type, a body that is not its contract.
// Empty: it keeps its word.
std::string breach_of(const RouteSpec& spec, const http::Response& response);

}  // namespace codegen::api
