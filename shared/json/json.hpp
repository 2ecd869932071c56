// Described structs (Boost.Describe) <-> JSON text, with validation that names the place of every error.
//
// Rules (docs/protocols.md, "Envelope"): unknown fields are ignored; null equals absent; an absent optional is left out
// on write; a missing required field, a wrong type or an unknown enum value is an error with its path
// ("config.capabilities[2]").
//
// Supported members: bool, integers, double, std::string, Timestamp, described enums, std::optional, std::vector,
// std::map<std::string, T>, nested described structs, boost::json::value / object (anything / any object), Patch<T>.
//   - A member named `delete_` or `operator_` is "delete"/"operator" on the wire (C++ keywords).
//   - Defaults: a member listed in `static constexpr std::array<std::string_view, N> defaulted{...}` may be absent; it
//   then
//     keeps its initialiser. std::optional is never required. Everything else is.
//   - `void normalize(boost::json::object&)` (static): older spellings, before decoding.
//   - `static constexpr std::array<json::Rule, N> rules` and `needs`: ranges, lengths, patterns (rule.hpp).
//   - `void check(FieldErrors&, const std::string& prefix) const`: rules across or within fields, after decoding.
//     `prefix` is the struct's own path with a dot behind it, or empty.
// Every class of a hierarchy lists its own defaulted members; a derived check() replaces its base's and calls it.
// Not valid UTF-8 in a std::string is written as U+FFFD, an infinite double as null: what we write can be read.
// Instantiate each contract in one .cpp: decode<T> compiles slowly. See instantiate.hpp, shared/contracts.
#pragma once
#include <boost/json/value.hpp>
#include <expected>
#include <string>
#include <string_view>

#include "shared/base/result.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/json/patch.hpp"

namespace codegen::json {

template <class T>
using Parsed = std::expected<T, FieldErrors>;

template <class T>
Parsed<T> parse(std::string_view text);  // not JSON: one FieldError, path "", message "invalid JSON at byte N: ..."
template <class T>
Parsed<T> from_value(const boost::json::value& value);
// A flat object whose values are all text, made from the fields of a stream entry without `data` (older writers): where
// T wants anything but text, the value is read as JSON; Python's True, False and None are understood.
template <class T>
Parsed<T> parse_fields(std::string_view text);
template <class T>
boost::json::value to_value(const T& x);
template <class T>
std::string write(const T& x);  // compact

// How deep a free-form member (boost::json::value or object) may be; deeper is an error with its path. A whole document
// may have twice that.
inline constexpr std::size_t kMaxFreeDepth = 64;
bool nested_deeper_than(const boost::json::value& value, std::size_t levels);

// What this program wrote itself (a database column, an outbox row): accepted at intake once, so never too deep to read
// back. Throws boost::system::system_error for what is not JSON: a damaged store.
boost::json::value parse_own(std::string_view text);

// Just JSON, nothing described.
Parsed<boost::json::value> parse_any(std::string_view text);

}  // namespace codegen::json
