// What a field's value must be beyond its type, said once: decode.hpp enforces it, and schemas repeat it to others.
//
//   static constexpr std::array<json::Rule, 1> rules{{{.field = "timeout", .expected = "at least 1 second", .minimum =
//   1}}};
//
// Every class of a hierarchy lists the rules of its own members. An optional or a Patch is checked when it has a value,
// a list element by element. Rules run where the type was right; the struct's check() runs when they found nothing.
#pragma once
#include <array>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

namespace codegen::json {

struct Rule {
    std::string_view field{};     // the member's C++ name
    std::string_view expected{};  // the end of the error "is 0: expected at least 1 second"
    // Numbers.
    double minimum = -std::numeric_limits<double>::infinity();
    double maximum = std::numeric_limits<double>::infinity();
    bool above_minimum = false;  // `minimum` itself is refused
    // Text. Lengths in characters. `pattern` (ECMA-262, anchored) tells others what `accepts` decides here.
    std::size_t min_length = 0;
    std::size_t max_length = std::numeric_limits<std::size_t>::max();
    bool (*accepts)(std::string_view) = nullptr;
    std::string_view pattern{};
    std::string_view format{};  // of JSON Schema: "uuid"
    std::string_view only{};    // the one value there is, of text and enums
    std::size_t min_items = 0;  // lists
    bool keeps_value = false;   // Patch: null, which would clear it, is refused
};

// `field` is required where `if_field`, an enum, is `is`: an array `needs` beside `rules`.
struct Need {
    std::string_view field{};
    std::string_view if_field{};
    std::string_view is{};
};

// Empty: the value keeps the rule; else the error's message.
std::string breach(const Rule& rule, std::string_view text);
std::string breach(const Rule& rule, double number, std::string_view shown);

}  // namespace codegen::json
