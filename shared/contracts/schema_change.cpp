// What another program would stumble over: see incompatible_changes() in schema.hpp.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <limits>
#include <set>

#include "shared/contracts/schema.hpp"

namespace codegen::contracts {
namespace {

namespace bj = boost::json;
using Problems = std::vector<std::string>;

const bj::value* find(const bj::object& object, std::string_view name) {
    return object.if_contains(bj::string_view(name.data(), name.size()));
}
const bj::object& object_in(const bj::object& object, std::string_view name) {
    static const bj::object nothing;
    const auto* found = find(object, name);
    return found && found->is_object() ? found->get_object() : nothing;
}
std::string text_of(const bj::value& value) {
    return value.is_string() ? std::string(value.get_string()) : bj::serialize(value);
}
std::set<std::string> texts_in(const bj::object& object, std::string_view name) {
    std::set<std::string> out;
    const auto* found = find(object, name);
    if (found && found->is_array())
        for (const auto& element : found->get_array()) out.insert(text_of(element));
    else if (found)
        out.insert(text_of(*found));
    return out;
}
std::string inside(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : path + "." + std::string(name);
}

// "X or null" is X; whether it may be null is told by `required`.
const bj::object& without_null(const bj::object& schema) {
    const auto* either = find(schema, "anyOf");
    if (!either || !either->is_array() || either->get_array().size() != 2) return schema;
    const auto& array = either->get_array();
    if (!array[0].is_object() || texts_in(array[1].as_object(), "type") != std::set<std::string>{"null"}) return schema;
    return array[0].get_object();
}

double number_in(const bj::object& schema, std::string_view name, double otherwise) {
    const auto* found = find(schema, name);
    return found && found->is_number() ? found->to_number<double>() : otherwise;
}

// The one value or the list of them; none: any.
std::set<std::string> values_in(const bj::object& schema) {
    auto values = find(schema, "const") ? texts_in(schema, "const") : texts_in(schema, "enum");
    values.erase("null");
    return values;
}

void compare_values(const bj::object& before, const bj::object& after, const std::string& path, Problems& problems) {
    auto old_types = texts_in(before, "type");
    auto new_types = texts_in(after, "type");
    old_types.erase("null");
    new_types.erase("null");
    if (old_types.empty() && !new_types.empty() && !find(before, "$ref"))
        problems.push_back(path + ": had no type, is " + *new_types.begin());
    for (const auto& type : old_types)
        if (!new_types.empty() && !new_types.contains(type))
            problems.push_back(path + ": was " + type + ", is " + *new_types.begin());
    const auto old_values = values_in(before);
    const auto new_values = values_in(after);
    if (old_values.empty() && !new_values.empty()) problems.push_back(path + ": only some values are left of any");
    for (const auto& value : old_values)
        if (!new_values.empty() && !new_values.contains(value))
            problems.push_back(path + ": the value \"" + value + "\" went");
    for (const auto* name : {"pattern", "format", "$ref"}) {
        const auto* was = find(before, name);
        const auto* is = find(after, name);
        const bool type_for_reference = std::string_view(name) == "$ref" && was && !is && !new_types.empty();
        if ((is && (!was || *was != *is)) || type_for_reference)
            problems.push_back(path + ": " + name + " was " + (was ? text_of(*was) : "none") + ", is " +
                               (is ? text_of(*is) : "none"));
    }
    constexpr double kNone = std::numeric_limits<double>::infinity();
    for (const auto* name : {"minimum", "exclusiveMinimum"})
        if (number_in(after, name, -kNone) > number_in(before, name, -kNone))
            problems.push_back(path + ": " + name + " was raised to " + text_of(*find(after, name)));
    for (const auto* name : {"minLength", "minItems"})
        if (number_in(after, name, 0) > number_in(before, name, 0))
            problems.push_back(path + ": " + name + " was raised to " + text_of(*find(after, name)));
    for (const auto* name : {"maximum", "maxLength"})
        if (number_in(after, name, kNone) < number_in(before, name, kNone))
            problems.push_back(path + ": " + name + " was lowered to " + text_of(*find(after, name)));
}

void compare_schema(const bj::value& before_value, const bj::value& after_value, const std::string& path,
                    Problems& problems);

void compare_fields(const bj::object& before, const bj::object& after, const std::string& path, Problems& problems) {
    const auto& was = object_in(before, "properties");
    const auto& is = object_in(after, "properties");
    const auto was_required = texts_in(before, "required");
    for (const auto& name : texts_in(after, "required"))
        if (!was_required.contains(name))
            problems.push_back(inside(path, name) +
                               (was.contains(name) ? ": became required" : ": is new and required"));
    for (const auto& [key, schema] : was) {
        const auto here = inside(path, key);
        if (const auto* now = is.if_contains(key))
            compare_schema(schema, *now, here, problems);
        else
            problems.push_back(here + ": went");
    }
}

void compare_schema(const bj::value& before_value, const bj::value& after_value, const std::string& path,
                    Problems& problems) {
    if (!before_value.is_object() || !after_value.is_object()) {
        if (before_value != after_value) problems.push_back(path + ": changed");
        return;
    }
    const auto& before = without_null(before_value.get_object());
    const auto& after = without_null(after_value.get_object());
    compare_values(before, after, path, problems);
    compare_fields(before, after, path, problems);
    for (const auto* name : {"items", "additionalProperties"}) {
        const auto* was = find(before, name);
        const auto* is = find(after, name);
        const auto here = path + (std::string_view(name) == "items" ? "[]" : ".*");
        if (was && is)
            compare_schema(*was, *is, here, problems);
        else if (is)
            problems.push_back(here + ": could be anything, no longer can");
    }
    for (const auto* name : {"allOf", "oneOf"}) {
        const auto was = texts_in(before, name);
        const auto is = texts_in(after, name);
        const bool more_is_narrower = std::string_view(name) == "allOf";
        for (const auto& one : more_is_narrower ? is : was)
            if (!(more_is_narrower ? was : is).contains(one))
                problems.push_back(path + ": " + name + (more_is_narrower ? " has a new condition " : " lost ") + one);
    }
    for (const auto& [key, schema] : object_in(before, "$defs"))
        if (const auto* now = find(object_in(after, "$defs"), key))
            compare_schema(schema, *now, inside(path, key), problems);
}

// Calls `compare(name, before, after)` for what both have; what went is a problem.
template <class F>
void each_kept(const bj::object& before, const bj::object& after, const std::string& path, Problems& problems,
               F&& compare) {
    for (const auto& [key, was] : before) {
        if (const auto* is = after.if_contains(key))
            compare(inside(path, key), was.as_object(), is->as_object());
        else
            problems.push_back(inside(path, key) + ": went");
    }
}

void compare_schemas(const bj::object& before, const bj::object& after, Problems& problems) {
    each_kept(object_in(object_in(before, "components"), "schemas"),
              object_in(object_in(after, "components"), "schemas"), {}, problems,
              [&](const std::string& name, const bj::object& was, const bj::object& is) {
                  compare_schema(was, is, name, problems);
              });
}

// `content` of a request or an answer.
void compare_content(const bj::object& before, const bj::object& after, const std::string& path, Problems& problems) {
    each_kept(object_in(before, "content"), object_in(after, "content"), path, problems,
              [&](const std::string& here, const bj::object& was, const bj::object& is) {
                  const auto* schema = find(was, "schema");
                  const auto* now = find(is, "schema");
                  if (schema && now) compare_schema(*schema, *now, here, problems);
              });
}

bj::object parameters_by_name(const bj::object& operation) {
    bj::object out;
    if (const auto* list = find(operation, "parameters"))
        for (const auto& one : list->as_array())
            out[text_of(one.at("in")) + " parameter " + text_of(one.at("name"))] = one;
    return out;
}

bool is_required(const bj::object& object) {
    const auto* required = find(object, "required");
    return required && required->is_bool() && required->get_bool();
}

void compare_operation(const std::string& path, const bj::object& before, const bj::object& after, Problems& problems) {
    const auto was = parameters_by_name(before);
    const auto is = parameters_by_name(after);
    each_kept(was, is, path, problems, [&](const std::string& here, const bj::object& old_one, const bj::object& now) {
        if (is_required(now) && !is_required(old_one)) problems.push_back(here + ": became required");
        compare_schema(old_one.at("schema"), now.at("schema"), here, problems);
    });
    for (const auto& [key, one] : is)
        if (!was.contains(key) && is_required(one.as_object()))
            problems.push_back(inside(path, key) + ": is new and required");
    const auto& old_body = object_in(before, "requestBody");
    const auto& new_body = object_in(after, "requestBody");
    if (is_required(new_body) && !is_required(old_body)) problems.push_back(path + ".requestBody: became required");
    compare_content(old_body, new_body, path + ".requestBody", problems);
    for (const auto& [status, answer] : object_in(before, "responses")) {
        const auto here = inside(path, status);
        if (const auto* now = find(object_in(after, "responses"), status))
            compare_content(answer.as_object(), now->as_object(), here, problems);
        else if (status.starts_with('2'))
            problems.push_back(here + ": went");
    }
}

void compare_openapi(const bj::object& before, const bj::object& after, Problems& problems) {
    each_kept(object_in(before, "paths"), object_in(after, "paths"), {}, problems,
              [&](const std::string& path, const bj::object& was, const bj::object& is) {
                  each_kept(was, is, path, problems,
                            [&](const std::string& here, const bj::object& old_one, const bj::object& now) {
                                compare_operation(here, old_one, now, problems);
                            });
              });
    compare_schemas(before, after, problems);
}

void compare_asyncapi(const bj::object& before, const bj::object& after, Problems& problems) {
    const auto same = [&](const std::string& path, const bj::object& was, const bj::object& is, const char* name) {
        const auto* old_one = find(was, name);
        const auto* now = find(is, name);
        if (old_one && (!now || *old_one != *now))
            problems.push_back(path + ": " + name + " was " + text_of(*old_one) + ", is " +
                               (now ? text_of(*now) : "none"));
    };
    each_kept(object_in(before, "channels"), object_in(after, "channels"), {}, problems,
              [&](const std::string& path, const bj::object& was, const bj::object& is) {
                  same(path, was, is, "address");
                  each_kept(object_in(was, "messages"), object_in(is, "messages"), path, problems,
                            [](const std::string&, const bj::object&, const bj::object&) {});
              });
    each_kept(object_in(before, "operations"), object_in(after, "operations"), {}, problems,
              [&](const std::string& path, const bj::object& was, const bj::object& is) {
                  same(path, was, is, "action");
                  same(path, was, is, "x-consumer-group");
              });
    compare_schemas(before, after, problems);
}

void find_untyped(const bj::object& schema, const std::string& path, std::vector<std::string>& places) {
    const bool said = schema.contains("type") || schema.contains("$ref") || schema.contains("anyOf") ||
                      schema.contains("const") || schema.contains("oneOf");
    if (!said) places.push_back(path);
    if (const auto* either = find(schema, "anyOf"))
        for (const auto& one : either->as_array()) find_untyped(one.as_object(), path, places);
    for (const auto& [key, property] : object_in(schema, "properties"))
        find_untyped(property.as_object(), inside(path, key), places);
    if (const auto* items = find(schema, "items")) find_untyped(items->as_object(), path + "[]", places);
    if (const auto* values = find(schema, "additionalProperties"); values && values->is_object())
        find_untyped(values->get_object(), path + ".*", places);
    if (schema.contains("type") && texts_in(schema, "type").contains("array") && !schema.contains("items"))
        places.push_back(path + "[]");
}

}  // namespace

std::vector<std::string> untyped_properties(const bj::object& schema) {
    std::vector<std::string> places;
    find_untyped(schema, {}, places);
    return places;
}

std::vector<std::string> incompatible_changes(const bj::value& before, const bj::value& after) {
    Problems problems;
    if (!before.is_object() || !after.is_object())
        problems.emplace_back("is no JSON object");
    else if (before.get_object().contains("openapi"))
        compare_openapi(before.get_object(), after.get_object(), problems);
    else if (before.get_object().contains("asyncapi"))
        compare_asyncapi(before.get_object(), after.get_object(), problems);
    else
        compare_schema(before, after, {}, problems);
    return problems;
}

}  // namespace codegen::contracts
