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
// A key that stands in addresses.
constexpr bool is_key(std::string_view text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '/') return false;
    return true;
}
constexpr json::Rule key(std::string_view field) {
    return {.field = field,
            .expected = "1 to 200 characters without blanks and slashes",
            .min_length = 1,
            .max_length = 200,
            .accepts = is_key,
            .pattern = "^[^\\u0000-\\u0020\\u007f/]*$"};
}
constexpr json::Rule long_text(std::string_view field, bool keeps_value = false) {
    return {
        .field = field, .expected = "at most 1048576 characters", .max_length = 1048576, .keeps_value = keeps_value};
}
constexpr json::Rule whole(std::string_view field, double minimum, double maximum, std::string_view expected,
                           bool keeps_value = false) {
    return {.field = field, .expected = expected, .minimum = minimum, .maximum = maximum, .keeps_value = keeps_value};
}
// Megabytes, processors, attempts: more is a mistake of unit.
constexpr json::Rule amount(std::string_view field, bool keeps_value = false) {
    return whole(field, 0, 1e9, "0 to 1000000000", keeps_value);
}
constexpr json::Rule port(std::string_view field, bool keeps_value = false) {
    return whole(field, 1, 65535, "1 to 65535", keeps_value);
}
constexpr json::Rule embedding_rule(std::string_view field) {
    return {.field = field, .expected = "numbers up to 1e15", .minimum = -1e15, .maximum = 1e15, .min_items = 1};
}
constexpr bool is_word(std::string_view text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return false;
    return !text.empty();
}
constexpr json::Rule word(std::string_view field) {
    return {.field = field,
            .expected = "1 to 200 characters without blanks",
            .min_length = 1,
            .max_length = 200,
            .accepts = is_word,
            .pattern = "^[^\\u0000-\\u0020\\u007f]+$"};
}
constexpr bool is_host_name(std::string_view text) {
    for (const char c : text)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
              c == '.'))
            return false;
    return !text.empty() && text.front() != '.' && text.front() != '-';
}
constexpr json::Rule host_name(std::string_view field) {
    return {.field = field,
            .expected = "a host name of 1 to 253 characters: letters, digits, - _ and .",
            .min_length = 1,
            .max_length = 253,  // of a DNS name
            .accepts = is_host_name,
            .pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]*$"};
}
constexpr json::Rule at_least(std::string_view field, double minimum, std::string_view expected) {
    return {.field = field, .expected = expected, .minimum = minimum};
}
constexpr json::Rule between(std::string_view field, double minimum, double maximum, std::string_view expected) {
    return {.field = field, .expected = expected, .minimum = minimum, .maximum = maximum};
}

}  // namespace codegen::contracts
