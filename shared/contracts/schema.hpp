// What we say to other programs about our messages and resources: JSON Schema (2020-12) and AsyncAPI (3.0), made from
// the descriptions that parse and validate (contract_reflection.hpp) and from the table of streams (stream_table.hpp).
//
// A schema says what is read: further properties are allowed, and null where a field may be absent.
#pragma once
#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "shared/json/rule.hpp"

namespace codegen::contracts {

// Every contract, and the records inside them, by name; they refer to each other as `prefix` + name
// ("#/components/schemas/").
boost::json::object schemas(std::string_view prefix);

// What `rule` says, into the schema of a value.
void add_rule(boost::json::object& schema, const json::Rule& rule);

struct SchemaFile {
    std::string path;  // relative: "queues/EngineeringMessage.json"
    boost::json::object document;
};
// One self-contained document for each contract, and asyncapi.json.
std::vector<SchemaFile> schema_files();
boost::json::object asyncapi();

// As it stands in a file: two blanks of indentation, a newline at the end.
std::string pretty(const boost::json::value& document);

// The places in a schema ("config.x", "list[]") that say no type. An object may be free: it has one.
std::vector<std::string> untyped_properties(const boost::json::object& schema);
// Why a program that was made for the schema `before` cannot live with `after`: fields that went, new or newly required
// ones, types, values and ranges that became narrower. Understands what schemas() writes, inside any document (OpenAPI
// and AsyncAPI too: paths, channels, messages and statuses must not go either). Empty: it can.
std::vector<std::string> incompatible_changes(const boost::json::value& before, const boost::json::value& after);

}  // namespace codegen::contracts
