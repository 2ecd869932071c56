#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "services/api/openapi.hpp"

namespace codegen::api {
namespace {

namespace bj = boost::json;

constexpr std::string_view kStyle = R"(
:root{--ink:#1c2430;--soft:#5b6675;--line:#dfe4ea;--paper:#fff;--back:#f5f7f9;--link:#0b62c4}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9ef;--soft:#9aa6b4;--line:#303a46;--paper:#1a2028;--back:#12161c;--link:#6fb1ff}}
*{box-sizing:border-box}
body{margin:0;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back)}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
header{padding:2rem 2rem 1rem;max-width:72rem;margin:0 auto}h1{margin:0;font-size:1.6rem}
header p{color:var(--soft);max-width:60rem}
.page{display:grid;grid-template-columns:13rem 1fr;gap:2rem;max-width:72rem;margin:0 auto;padding:0 2rem 4rem}
nav{position:sticky;top:1rem;align-self:start;font-size:.9rem;max-height:95vh;overflow:auto}nav a{display:block;padding:.15rem 0}
nav b{display:block;margin-top:.8rem;color:var(--soft);font-weight:600}
h2{font-size:1.1rem;margin:2rem 0 .6rem}
details{background:var(--paper);border:1px solid var(--line);border-radius:6px;margin:.4rem 0}
summary{cursor:pointer;padding:.5rem .8rem;display:flex;gap:.8rem;align-items:baseline;flex-wrap:wrap}
summary i{font-style:normal;color:var(--soft)}
details>div{padding:0 .9rem .9rem;border-top:1px solid var(--line)}
code{font:13px/1.5 ui-monospace,monospace}
.m{font:600 12px ui-monospace,monospace;color:#fff;border-radius:4px;padding:.15rem .45rem;min-width:4.2rem;text-align:center}
.get{background:#1b6ec2}.post{background:#1d7f46}.put{background:#9a6200}.patch{background:#6b46b8}.delete{background:#b3261e}
table{border-collapse:collapse;width:100%;margin:.4rem 0}
td,th{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);font-size:.9rem}
th{color:var(--soft);font-weight:600}h3{font-size:.9rem;margin:1rem 0 .2rem}
@media (max-width:50rem){.page{grid-template-columns:1fr}nav{position:static}}
)";

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) switch (c) {
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '&':
                out += "&amp;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    return out;
}
std::string shown(const bj::value& value) {
    return escaped(value.is_string() ? std::string_view(value.get_string()) : bj::serialize(value));
}

// "integer", "list of User", "one of a, b", with a link where it is a contract.
std::string type_text(const bj::object& schema) {
    if (const auto* to = schema.if_contains("$ref")) {
        const std::string_view target = to->as_string();
        const auto name = escaped(target.substr(target.rfind('/') + 1));
        return fmt::format(R"(<a href="#{0}">{0}</a>)", name);
    }
    if (const auto* either = schema.if_contains("anyOf")) return type_text(either->as_array().at(0).as_object());
    if (const auto* value = schema.if_contains("const")) return "<code>" + shown(*value) + "</code>";
    std::string type;
    if (const auto* names = schema.if_contains("type"))
        type = shown(names->is_array() ? names->as_array().at(0) : *names);
    if (const auto* items = schema.if_contains("items")) type = "list of " + type_text(items->as_object());
    if (const auto* values = schema.if_contains("additionalProperties"); values && values->is_object())
        type = "object of " + type_text(values->get_object());
    if (const auto* values = schema.if_contains("enum")) {
        type = "one of";
        for (const auto& value : values->as_array())
            if (!value.is_null()) type += " <code>" + shown(value) + "</code>";
    }
    if (const auto* format = schema.if_contains("format"); format && *format != "int64") type += ", " + shown(*format);
    for (const auto* name : {"minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength", "minItems", "pattern"})
        if (const auto* limit = schema.if_contains(name);
            limit && (!schema.contains("format") || schema.at("format") != "int64" ||
                      std::abs(limit->to_number<double>()) < 9e18))
            type += fmt::format(", {} <code>{}</code>", name, shown(*limit));
    if (const auto* value = schema.if_contains("default")) type += fmt::format(", else <code>{}</code>", shown(*value));
    return type;
}

std::string fields_table(const bj::object& schema) {
    std::string out = "<table><tr><th>field<th>type<th></tr>";

    const auto* required = schema.if_contains("required");
    for (const auto& [name, property] : schema.at("properties").as_object()) {
        const bool must = required && std::ranges::count(required->as_array(), bj::value(name)) > 0;
        out += fmt::format("<tr><td><code>{}</code><td>{}<td>{}</tr>", escaped(name), type_text(property.as_object()),
                           must ? "required" : "");
    }
    return out + "</table>";
}

std::string body_text(const bj::object& holder) {
    const auto* content = holder.if_contains("content");
    if (!content) return "no body";
    std::string out;
    for (const auto& [type, media] : content->as_object())
        out += fmt::format("{} <code>{}</code>", type_text(media.at("schema").as_object()), escaped(type));
    return out;
}

std::string operation_text(std::string_view method, std::string_view path, const bj::object& operation,
                           const bj::object& components) {
    std::string out = fmt::format(
        R"(<details id="{}"><summary><span class="m {}">{}</span><code>{}</code><i>{}</i></summary><div><p>{}</p>)",
        shown(operation.at("operationId")), method,
        [&] {
            std::string upper;
            for (const char c : method) upper += static_cast<char>(c - 'a' + 'A');
            return upper;
        }(),
        escaped(path), shown(operation.at("summary")), shown(operation.at("description")));
    if (const auto* parameters = operation.if_contains("parameters")) {
        out += "<h3>Parameters</h3><table><tr><th>name<th>in<th>type<th></tr>";
        for (const auto& parameter : parameters->as_array()) {
            const auto* description = parameter.as_object().if_contains("description");
            out += fmt::format("<tr><td><code>{}</code><td>{}<td>{}<td>{}</tr>", shown(parameter.at("name")),
                               shown(parameter.at("in")), type_text(parameter.at("schema").as_object()),
                               description ? shown(*description) : "");
        }
        out += "</table>";
    }
    if (const auto* body = operation.if_contains("requestBody"))
        out += "<h3>Body</h3><p>" + body_text(body->as_object()) + "</p>";
    out += "<h3>Answers</h3><table>";
    for (const auto& [status, answer] : operation.at("responses").as_object()) {
        const auto* to = answer.as_object().if_contains("$ref");
        const auto& said = to ? components.at("responses").at(status).as_object() : answer.as_object();
        out += fmt::format("<tr><td><code>{}</code><td>{}<td>{}</tr>", escaped(status), shown(said.at("description")),
                           body_text(said));
    }
    return out + "</table></div></details>\n";
}

}  // namespace

std::string docs_page(const bj::object& openapi) {
    const auto& info = openapi.at("info").as_object();
    const auto& components = openapi.at("components").as_object();
    std::string nav;
    std::string main;
    for (const auto& tag : openapi.at("tags").as_array()) {
        const auto name = shown(tag.at("name"));
        nav += fmt::format(R"(<a href="#tag-{0}">{0}</a>)", name);
        main += fmt::format("<h2 id=\"tag-{0}\">{0}</h2>\n", name);
        for (const auto& [path, operations] : openapi.at("paths").as_object())
            for (const auto& [method, operation] : operations.as_object())
                if (operation.at("tags").as_array().at(0) == tag.at("name"))
                    main += operation_text(method, path, operation.as_object(), components);
    }
    main += "<h2 id=\"schemas\">Contracts</h2>\n";
    nav += "<b>contracts</b>";
    for (const auto& [name, schema] : components.at("schemas").as_object()) {
        nav += fmt::format(R"(<a href="#{0}">{0}</a>)", escaped(name));
        main += fmt::format("<details id=\"{0}\"><summary><b>{0}</b></summary><div>{1}</div></details>\n",
                            escaped(name), fields_table(schema.as_object()));
    }
    return fmt::format(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width\"><title>{0}</title><style>{1}</style></head><body><header><h1>{0} {2}</h1>"
        "<p>{3}</p><p><a href=\"/openapi.json\">openapi.json</a></p></header><div class=\"page\"><nav><b>resources</b>"
        "{4}</nav><main>{5}</main></div></body></html>\n",
        shown(info.at("title")), kStyle, shown(info.at("version")), shown(info.at("description")), nav, main);
}

}  // namespace codegen::api
