// Every contract as data, made from its description: for schemas, and for tests that must visit every field.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/json/json.hpp"
#include "shared/json/rule.hpp"

namespace codegen::contracts::reflection {

enum class Kind { boolean, integer, number, string, timestamp, enumeration, list, map, record, any_object, any };

struct Shape;
struct Field {
    std::string name;
    bool required = false;
    bool patch = false;        // null means clear
    std::vector<Shape> shape;  // one; a vector because Shape is incomplete here
    std::optional<json::Rule> rule{};
    std::optional<boost::json::value> default_value{};  // where it is always the same
};
struct Shape {
    Kind kind{};
    std::string names;                // enumeration: "a, b"
    std::vector<Shape> element;       // list, map: one
    std::vector<Field> fields;        // record
    std::string name{};               // record: the type's
    std::vector<json::Need> needs{};  // record
};

struct NamedShape {
    std::string_view name;
    std::string_view folder;  // of its golden samples: queues or dto
    Shape shape;
};
// Shapes alone: who writes schemas needs no reader of every contract.
const std::vector<NamedShape>& all_shapes();

struct Contract {
    std::string name;
    std::string folder;
    Shape shape;
    std::function<json::Parsed<std::string>(std::string_view)> rewrite;  // parse, then write
};
const std::vector<Contract>& all_contracts();

}  // namespace codegen::contracts::reflection
