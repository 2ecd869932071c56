// Rules that several contracts share (shared/json/rule.hpp).
#pragma once
#include "shared/base/ids.hpp"
#include "shared/json/rule.hpp"

namespace codegen::contracts {

constexpr json::Rule worker_name(std::string_view field) {
    return {.field = field,
            .expected = "a worker name: 1 to 63 of a-z 0-9 . _ -, the first one a letter or digit",
            .accepts = is_worker_name,
            .pattern = "^[a-z0-9][a-z0-9._-]{0,62}$"};
}
// An id made by the client.
constexpr json::Rule client_id(std::string_view field) {
    return {.field = field,
            .expected = "a UUID; leave it out to get one",
            .accepts = is_uuid,
            .pattern = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
            .format = "uuid"};
}
constexpr json::Rule only(std::string_view field, std::string_view value) { return {.field = field, .only = value}; }
constexpr json::Rule not_cleared(std::string_view field) { return {.field = field, .keeps_value = true}; }
constexpr bool has_no_control_character(std::string_view text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
    return true;
}
constexpr json::Rule display_name(std::string_view field, bool keeps_value = false) {
    return {.field = field,
            .expected = "a name of 1 to 200 characters without control characters",
            .min_length = 1,
            .max_length = 200,
            .accepts = has_no_control_character,
            .pattern = "^[^\\u0000-\\u001f\\u007f]*$",
            .keeps_value = keeps_value};
}
constexpr json::Rule at_least(std::string_view field, double minimum, std::string_view expected) {
    return {.field = field, .expected = expected, .minimum = minimum};
}
constexpr json::Rule between(std::string_view field, double minimum, double maximum, std::string_view expected) {
    return {.field = field, .expected = expected, .minimum = minimum, .maximum = maximum};
}

}  // namespace codegen::contracts
