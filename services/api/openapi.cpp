#include "services/api/openapi.hpp"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <set>

#include "services/api/resource.hpp"
#include "shared/contracts/schema.hpp"

namespace codegen::api {
namespace {

namespace bj = boost::json;

constexpr std::string_view kSchemas = "#/components/schemas/";

bj::string_view text_view(std::string_view t) { return {t.data(), t.size()}; }
bj::object reference(std::string_view prefix, std::string_view name) {
    return {{"$ref", std::string(prefix).append(name)}};
}

// "{model_id...}" is no path of OpenAPI: slashes in the value are told in the description.
std::string path_of(std::string_view pattern) {
    std::string path(pattern);
    if (const auto rest = path.find("...}"); rest != std::string::npos) path.erase(rest, 3);
    return path;
}

std::string lower(std::string_view method) {
    std::string out;
    for (const char c : method) out += static_cast<char>(c - 'A' + 'a');
    return out;
}

// "GET /api/tasks/{id}" -> "get_tasks_id"
std::string operation_id(const RouteSpec& spec) {
    std::string id = lower(spec.method);
    std::string path = path_of(spec.pattern);
    if (path.starts_with("/api/")) path.erase(0, 4);
    for (const char c : path) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (letter)
            id += c;
        else if (id.back() != '_')
            id += '_';
    }
    if (id.ends_with('_')) id.pop_back();
    return spec.pattern.starts_with("/api/") ? id : id + "_of_service";
}

std::string_view tag_of(const RouteSpec& spec) {
    constexpr std::string_view kPrefix = "/api/";
    if (!spec.pattern.starts_with(kPrefix)) return "service";
    const auto rest = spec.pattern.substr(kPrefix.size());
    return rest == "health" ? "service" : rest.substr(0, rest.find('/'));
}

std::string access_text(const RouteSpec& spec) {
    switch (spec.access) {
        case Access::open:
            return "Needs no token.";
        case Access::loopback:
            return "Needs a token that is not a worker's, unless it is asked over loopback TCP.";
        case Access::member:
            return "Every token but a worker's; objects of others are not found.";
        case Access::everyone:
            if (spec.actions.empty()) return "Every token; a worker's must allow the command.";
            return fmt::format("Every token; a worker's must allow one of: {}.", spec.actions);
        case Access::control:
            return "Admins, and services that speak for themselves.";
        case Access::service:
            return "Admins and services.";
    }
    std::unreachable();
}

bj::object query_schema(const QueryParameter& parameter) {
    switch (parameter.kind) {
        case QueryParameter::Kind::text:
            return {{"type", "string"}};
        case QueryParameter::Kind::integer:
            return {{"type", "integer"},
                    {"format", "int64"},
                    {"minimum", std::numeric_limits<std::int64_t>::min()},
                    {"maximum", std::numeric_limits<std::int64_t>::max()}};
        case QueryParameter::Kind::boolean:
            return {{"type", "boolean"}};
        case QueryParameter::Kind::choice: {
            bj::array values;
            std::string names = parameter.choices();
            for (std::string_view rest = names; !rest.empty();) {
                const auto end = rest.find(", ");
                values.emplace_back(text_view(rest.substr(0, end)));
                rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 2);
            }
            return {{"type", "string"}, {"enum", std::move(values)}};
        }
    }
    std::unreachable();
}

// Its answer has an ETag: 304 when the client has it.
bool is_conditional(const RouteSpec& spec) {
    return spec.method == "GET" && spec.contract.media_type == "application/json";
}

void add_headers(const RouteSpec& spec, bj::array& out) {
    const auto header = [&](std::string_view name, bj::object schema, std::string_view description) {
        out.push_back({{"name", text_view(name)},
                       {"in", "header"},
                       {"schema", std::move(schema)},
                       {"description", text_view(description)}});
    };
    if (spec.method == "POST")
        header("Idempotency-Key", {{"type", "string"}, {"pattern", "^[\\u0021-\\u007e]{1,255}$"}},
               "The same request with the same key again has one effect and one answer, for 24 hours.");
    if (spec.method == "PUT" || spec.method == "PATCH")
        header("If-Match", {{"type", "string"}}, "An ETag: 412 when the object is another one by now.");
    if (is_conditional(spec))
        header("If-None-Match", {{"type", "string"}}, "An ETag: 304 when the answer is still the same.");
}

bj::array parameters_of(const RouteSpec& spec) {
    bj::array out;
    for (const auto name : path_parameters(spec)) {
        bj::object schema{{"type", "string"}, {"minLength", 1}};
        if (const auto* rule = path_rule(spec, name)) contracts::add_rule(schema, *rule);
        bj::object parameter{
            {"name", text_view(name)}, {"in", "path"}, {"required", true}, {"schema", std::move(schema)}};
        if (spec.pattern.contains(std::string(name) + "...}")) parameter["description"] = "May hold slashes.";
        out.push_back(std::move(parameter));
    }
    const auto query = [&](std::string_view name, bj::object schema, std::string_view description) {
        bj::object parameter{{"name", text_view(name)}, {"in", "query"}, {"schema", std::move(schema)}};
        if (!description.empty()) parameter["description"] = text_view(description);
        out.push_back(std::move(parameter));
    };
    for (const auto& parameter : spec.contract.query)
        if (!parameter.name.empty()) query(parameter.name, query_schema(parameter), {});
    if (spec.contract.paged) {
        query("limit", {{"type", "integer"}, {"minimum", 1}, {"maximum", 500}, {"default", 100}},
              "How many, oldest first.");
        query("cursor", {{"type", "string"}, {"pattern", "^[0-9]{1,18}[.][^\\u0000]+$"}},
              "Where the page before ended: taken from its Link header.");
    }
    add_headers(spec, out);
    return out;
}

bj::object content_of(std::string_view media_type, bj::object schema) {
    return {{text_view(media_type.substr(0, media_type.find(';'))), {{"schema", std::move(schema)}}}};
}

bj::object body_schema(const Body& body) {
    if (body.list) return {{"type", "array"}, {"items", reference(kSchemas, body.name)}};
    return reference(kSchemas, body.name);
}

bj::object answer_of(const RouteSpec& spec, unsigned status) {
    const auto& body = response_of(spec, status);
    const bool own_trouble = status == 503 && std::ranges::count(spec.contract.answers, 503u) > 0;
    if (status >= 300 && !own_trouble) return reference("#/components/responses/", std::to_string(status));
    bj::object headers{{"X-Correlation-ID", reference("#/components/headers/", "X-Correlation-ID")}};
    if (spec.contract.paged) headers["Link"] = reference("#/components/headers/", "Link");
    bj::object answer{{"description", text_view(http::reason_phrase(status))}, {"headers", std::move(headers)}};
    if (status == 204) return answer;
    if (!body.name.empty())
        answer["content"] = content_of(spec.contract.media_type, body_schema(body));
    else
        answer["content"] = content_of(
            spec.contract.media_type, {{"type", spec.contract.media_type == "application/json" ? "object" : "string"}});
    return answer;
}

bj::object operation_of(const RouteSpec& spec) {
    bj::object operation{{"operationId", operation_id(spec)},
                         {"tags", {text_view(tag_of(spec))}},
                         {"summary", text_view(spec.contract.summary)},
                         {"description", access_text(spec)}};
    if (auto parameters = parameters_of(spec); !parameters.empty()) operation["parameters"] = std::move(parameters);
    if (const auto& body = spec.contract.request; !body.name.empty())
        operation["requestBody"] = {{"required", true}, {"content", content_of("application/json", body_schema(body))}};
    bj::object responses;
    for (const auto status : statuses_of(spec)) responses[std::to_string(status)] = answer_of(spec, status);
    if (is_conditional(spec)) responses["304"] = reference("#/components/responses/", "304");
    operation["responses"] = std::move(responses);
    bj::object token{{"token", bj::array{}}};
    if (spec.access == Access::open)
        operation["security"] = bj::array{};
    else if (spec.access == Access::loopback)
        operation["security"] = {bj::object{}, std::move(token)};
    else
        operation["security"] = bj::array({bj::value(std::move(token))});
    return operation;
}

bj::object components(const std::vector<const RouteSpec*>& routes) {
    std::set<unsigned> problems;
    for (const auto* spec : routes)
        for (const auto status : statuses_of(*spec))
            if (status >= 300) problems.insert(status);
    bj::object responses;
    for (const auto status : problems)
        responses[std::to_string(status)] = {
            {"description", text_view(http::reason_phrase(status))},
            {"headers", {{"X-Correlation-ID", reference("#/components/headers/", "X-Correlation-ID")}}},
            {"content", content_of("application/problem+json", reference(kSchemas, "ProblemDocument"))}};
    responses["304"] = {{"description", text_view(http::reason_phrase(304))},
                        {"headers", {{"X-Correlation-ID", reference("#/components/headers/", "X-Correlation-ID")}}}};
    return {{"schemas", contracts::schemas(kSchemas)},
            {"responses", std::move(responses)},
            {"headers",
             {{"X-Correlation-ID",
               {{"description", "The request's own, or one that was made for it; it is in the log."},
                {"schema", {{"type", "string"}}}}},
              {"Link",
               {{"description", "<...>; rel=\"next\": the next page, where there is one."},
                {"schema", {{"type", "string"}}}}}}},
            {"securitySchemes",
             {{"token",
               {{"type", "http"},
                {"scheme", "bearer"},
                {"description",
                 "A token of POST /api/tokens. A service's may name the user it acts for with "
                 "X-Telegram-ID."}}}}}};
}

}  // namespace

bj::object openapi(const std::vector<const RouteSpec*>& routes) {
    bj::object paths;
    std::set<std::string_view> tags;
    for (const auto* spec : routes) {
        const auto path = path_of(spec->pattern);
        if (!paths.contains(path)) paths[path] = bj::object{};
        paths[path].as_object()[lower(spec->method)] = operation_of(*spec);
        tags.insert(tag_of(*spec));
    }
    bj::array tag_list;
    for (const auto tag : tags) tag_list.push_back({{"name", text_view(tag)}});
    return {{"openapi", "3.1.0"},
            {"info",
             {{"title", "Codegen Orchestrator: API"},
              {"version", CODEGEN_VERSION},
              {"description",
               "The data of the control plane. Errors are problem documents (RFC 9457) with the path of every field. "
               "Lists are plain arrays, oldest first, with a Link header to the next page. Unknown fields are ignored, "
               "null is as good as absent, in a PATCH it clears. POST takes an id made by the client: the same body "
               "again is 200 with the stored object. A trailing slash, and _ for - in a resource's name, are accepted. "
               "Messages between the parts are in asyncapi.json (orchestrator contracts export)."},
              {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
            {"jsonSchemaDialect", "https://json-schema.org/draft/2020-12/schema"},
            {"servers", {{{"url", "/"}}}},
            {"tags", std::move(tag_list)},
            {"paths", std::move(paths)},
            {"components", components(routes)}};
}

std::vector<std::string> undocumented(const std::vector<const RouteSpec*>& routes, const bj::object& document) {
    std::set<std::string> routed;
    for (const auto* spec : routes) routed.insert(fmt::format("{} {}", spec->method, path_of(spec->pattern)));
    std::set<std::string> written;
    for (const auto& [path, operations] : document.at("paths").as_object())
        for (const auto& [method, operation] : operations.as_object()) {
            std::string name;
            for (const char c : method) name += static_cast<char>(c - 'a' + 'A');
            written.insert(name + " " + std::string(path));
        }
    std::vector<std::string> out;
    std::ranges::set_symmetric_difference(routed, written, std::back_inserter(out));
    return out;
}

}  // namespace codegen::api
