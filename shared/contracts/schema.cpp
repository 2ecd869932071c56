#include "shared/contracts/schema.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <limits>
#include <map>

#include "shared/contracts/contract_reflection.hpp"

namespace codegen::contracts {
namespace {

using reflection::Field;
using reflection::Kind;
using reflection::Shape;
namespace bj = boost::json;

bj::string_view text(std::string_view t) { return {t.data(), t.size()}; }

bj::object schema_of(const Shape& shape, std::string_view prefix);

void add_number(bj::object& schema, std::string_view name, double number) {
    constexpr double kExact = 9007199254740992;  // whole numbers up to here are whole
    if (number == static_cast<double>(static_cast<std::int64_t>(number)) && number <= kExact)
        schema[text(name)] = static_cast<std::int64_t>(number);
    else
        schema[text(name)] = number;
}

bj::object reference(std::string_view prefix, std::string_view name) {
    return {{"$ref", std::string(prefix).append(name)}};
}

bj::array values_of(std::string_view names) {
    bj::array values;
    while (!names.empty()) {
        const auto end = names.find(", ");
        values.emplace_back(text(names.substr(0, end)));
        names = end == std::string_view::npos ? std::string_view() : names.substr(end + 2);
    }
    return values;
}

// A record inside another one is said once, by name.
bj::object place_of(const Shape& shape, std::string_view prefix) {
    return shape.kind == Kind::record ? reference(prefix, shape.name) : schema_of(shape, prefix);
}

// The same, or null.
bj::object or_null(bj::object schema) {
    auto* type = schema.if_contains("type");
    if (!type && !schema.contains("$ref")) return schema;  // any JSON value
    // Many tools know a format only where the type is one.
    const auto* format = schema.if_contains("format");
    if (!type || schema.contains("const") || (format && *format != "int64"))
        return {{"anyOf", bj::array{std::move(schema), {{"type", "null"}}}}};
    *type = bj::array{*type, "null"};
    if (auto* values = schema.if_contains("enum")) values->as_array().emplace_back(nullptr);
    return schema;
}

bj::object property_of(const Field& field, std::string_view prefix) {
    auto schema = place_of(field.shape.front(), prefix);
    if (field.rule) {
        // The rules of a list are those of its elements, but the number of them.
        auto rule = *field.rule;
        if (field.shape.front().kind == Kind::list) {
            if (rule.min_items > 0) schema["minItems"] = std::exchange(rule.min_items, 0);
            if (auto* items = schema.at("items").if_object()) add_rule(*items, rule);
        } else {
            add_rule(schema, rule);
        }
    }
    if (!field.required && !(field.rule && field.rule->keeps_value)) schema = or_null(std::move(schema));
    if (field.default_value) schema["default"] = *field.default_value;
    return schema;
}

bj::object record_schema(const Shape& shape, std::string_view prefix) {
    bj::object properties;
    bj::array required;
    for (const auto& field : shape.fields) {
        properties[field.name] = property_of(field, prefix);
        if (field.required) required.emplace_back(field.name);
    }
    bj::object schema{{"title", shape.name}, {"type", "object"}, {"properties", std::move(properties)}};
    if (!required.empty()) schema["required"] = std::move(required);
    bj::array conditions;
    for (const auto& need : shape.needs) {
        const auto found = std::ranges::find(shape.fields, need.field, &Field::name);
        bj::object wanted = place_of(found->shape.front(), prefix);
        if (found->rule) add_rule(wanted, *found->rule);
        conditions.push_back(
            {{"if", {{"properties", {{text(need.if_field), {{"const", text(need.is)}}}}}}},
             {"then", {{"properties", {{text(need.field), std::move(wanted)}}}, {"required", {text(need.field)}}}}});
    }
    if (!conditions.empty()) schema["allOf"] = std::move(conditions);
    return schema;
}

bj::object schema_of(const Shape& shape, std::string_view prefix) {
    switch (shape.kind) {
        case Kind::boolean:
            return {{"type", "boolean"}};
        case Kind::integer:
            return {{"type", "integer"},
                    {"format", "int64"},
                    {"minimum", std::numeric_limits<std::int64_t>::min()},
                    {"maximum", std::numeric_limits<std::int64_t>::max()}};
        case Kind::number:
            return {{"type", "number"}};
        case Kind::string:
            return {{"type", "string"}};
        case Kind::timestamp:
            return {{"type", "string"}, {"format", "date-time"}};
        case Kind::enumeration:
            return {{"type", "string"}, {"enum", values_of(shape.names)}};
        case Kind::list:
            return {{"type", "array"}, {"items", place_of(shape.element.front(), prefix)}};
        case Kind::map:
            return {{"type", "object"}, {"additionalProperties", place_of(shape.element.front(), prefix)}};
        case Kind::any_object:
            return {{"type", "object"}};
        case Kind::any:
            return {{"description", "any JSON value"}};
        case Kind::record:
            return record_schema(shape, prefix);
    }
    std::unreachable();
}

// `shape` and every record inside it, by name.
void collect(const Shape& shape, std::map<std::string, const Shape*>& records) {
    if (shape.kind == Kind::record && !records.emplace(shape.name, &shape).second) return;
    for (const auto& field : shape.fields) collect(field.shape.front(), records);
    for (const auto& element : shape.element) collect(element, records);
}

void write_pretty(std::string& out, const bj::value& value, std::size_t depth) {
    const std::string inner(2 * (depth + 1), ' ');
    const std::string outer(2 * depth, ' ');
    if (const auto* object = value.if_object(); object && !object->empty()) {
        out += "{\n";
        for (auto it = object->begin(); it != object->end(); ++it) {
            out += (it == object->begin() ? "" : ",\n") + inner + bj::serialize(bj::value(it->key())) + ": ";
            write_pretty(out, it->value(), depth + 1);
        }
        out += "\n" + outer + "}";
    } else if (const auto* array = value.if_array();
               array && std::ranges::any_of(*array, [](const auto& v) { return v.is_structured(); })) {
        out += "[\n";
        for (auto it = array->begin(); it != array->end(); ++it) {
            out += (it == array->begin() ? "" : ",\n") + inner;
            write_pretty(out, *it, depth + 1);
        }
        out += "\n" + outer + "]";
    } else {
        out += bj::serialize(value);
    }
}

}  // namespace

void add_rule(bj::object& schema, const json::Rule& rule) {
    if (std::isfinite(rule.minimum)) {
        schema.erase("minimum");
        add_number(schema, rule.above_minimum ? "exclusiveMinimum" : "minimum", rule.minimum);
    }
    if (std::isfinite(rule.maximum)) add_number(schema, "maximum", rule.maximum);
    if (rule.min_length > 0) schema["minLength"] = rule.min_length;
    if (rule.max_length != std::numeric_limits<std::size_t>::max()) schema["maxLength"] = rule.max_length;
    if (!rule.pattern.empty()) schema["pattern"] = text(rule.pattern);
    if (!rule.format.empty()) schema["format"] = text(rule.format);
    if (!rule.only.empty()) {
        schema.erase("enum");
        schema["const"] = text(rule.only);
    }
    if (rule.min_items > 0) schema["minItems"] = rule.min_items;
}

bj::object schemas(std::string_view prefix) {
    std::map<std::string, const Shape*> records;
    for (const auto& contract : reflection::all_shapes()) collect(contract.shape, records);
    bj::object all;
    for (const auto& [name, shape] : records) all[name] = record_schema(*shape, prefix);
    return all;
}

std::vector<SchemaFile> schema_files() {
    std::vector<SchemaFile> files;
    for (const auto& contract : reflection::all_shapes()) {
        std::map<std::string, const Shape*> records;
        collect(contract.shape, records);
        bj::object document{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                            {"$id", "urn:codegen-orchestrator:" + std::string(contract.name)}};
        for (const auto& member : record_schema(contract.shape, "#/$defs/")) document[member.key()] = member.value();
        bj::object inner;
        for (const auto& [name, shape] : records)
            if (shape != &contract.shape) inner[name] = record_schema(*shape, "#/$defs/");
        if (!inner.empty()) document["$defs"] = std::move(inner);
        files.push_back(
            {std::string(contract.folder).append("/").append(contract.name).append(".json"), std::move(document)});
    }
    files.push_back({"asyncapi.json", asyncapi()});
    return files;
}

std::string pretty(const bj::value& document) {
    std::string out;
    write_pretty(out, document, 0);
    return out + "\n";
}

}  // namespace codegen::contracts
