#include "shared/json/json.hpp"

#include <algorithm>
#include <array>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/parser.hpp>
#include <charconv>

#include "shared/json/encode.hpp"

namespace codegen::json {
namespace {

// Twice what a free-form member may have: it is wrapped into rows, lists and answers on its way.
constexpr std::size_t kMaxDepth = 2 * kMaxFreeDepth;
constexpr std::size_t kMaxOwnDepth = 1024;  // of what we wrote ourselves; bounded for the stack's sake
constexpr std::size_t kQuoted = 120;        // bytes of a wrong value shown in an error

std::string_view kind_name(const boost::json::value& v) {
    switch (v.kind()) {
        case boost::json::kind::null:
            return "null";
        case boost::json::kind::bool_:
            return "boolean";
        case boost::json::kind::string:
            return "string";
        case boost::json::kind::array:
            return "array";
        case boost::json::kind::object:
            return "object";
        default:
            return "number";
    }
}

// Length of the valid UTF-8 sequence at the start of `s`, or 0.
std::size_t sequence_length(std::string_view s) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    const unsigned char first = at(0);
    if (first < 0x80) return 1;
    const std::size_t n = first >= 0xc2 && first <= 0xdf   ? 2
                          : (first & 0xf0) == 0xe0         ? 3
                          : first >= 0xf0 && first <= 0xf4 ? 4
                                                           : 0;
    if (n == 0 || s.size() < n) return 0;
    for (std::size_t i = 1; i < n; ++i)
        if ((at(i) & 0xc0) != 0x80) return 0;
    if ((first == 0xe0 && at(1) < 0xa0) || (first == 0xed && at(1) > 0x9f) || (first == 0xf0 && at(1) < 0x90) ||
        (first == 0xf4 && at(1) > 0x8f))
        return 0;  // overlong, surrogate, beyond U+10FFFF
    return n;
}

}  // namespace

bool nested_deeper_than(const boost::json::value& value, std::size_t levels) {
    if (const auto* array = value.if_array())
        return levels == 0 || std::ranges::any_of(
                                  *array, [&](const auto& element) { return nested_deeper_than(element, levels - 1); });
    if (const auto* object = value.if_object())
        return levels == 0 ||
               std::ranges::any_of(*object, [&](const auto& m) { return nested_deeper_than(m.value(), levels - 1); });
    return false;
}

boost::json::value parse_own(std::string_view text) {
    boost::json::parse_options options;
    options.max_depth = kMaxOwnDepth;
    return boost::json::parse(boost::json::string_view(text.data(), text.size()), {}, options);
}

Parsed<boost::json::value> parse_any(std::string_view text) { return detail::parse_text(text, {}); }

std::string breach(const Rule& rule, std::string_view text) {
    const auto shown = [&] {
        std::string buffer;
        return '"' + std::string(detail::as_utf8(text.substr(0, kQuoted), buffer)) + '"';
    };
    if (!rule.only.empty())
        return text == rule.only ? "" : "unknown value " + shown() + ", expected one of " + std::string(rule.only);
    std::size_t characters = 0;
    for (const char c : text) characters += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
    if (characters < rule.min_length && text.empty()) return "is empty: expected " + std::string(rule.expected);
    if (characters < rule.min_length || characters > rule.max_length)
        return "has " + std::to_string(characters) + " characters: expected " + std::string(rule.expected);
    if (rule.accepts && !rule.accepts(text)) return "is " + shown() + ": expected " + std::string(rule.expected);
    return {};
}

std::string breach(const Rule& rule, double number, std::string_view shown) {
    const bool low = rule.above_minimum ? number <= rule.minimum : number < rule.minimum;
    if (!low && number <= rule.maximum) return {};
    return "is " + std::string(shown) + ": expected " + std::string(rule.expected);
}

namespace detail {

std::string number_text(double number) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
    return {text.data(), end};
}
std::string number_text(std::int64_t number) { return std::to_string(number); }

std::string Path::text() const {
    std::string s = up ? up->text() : std::string{};
    if (index != static_cast<std::size_t>(-1)) return s + '[' + std::to_string(index) + ']';
    if (key.empty() && !up) return s;
    if (!s.empty()) s += '.';
    return s.append(key);
}

std::string Path::prefix() const {
    auto s = text();
    if (!s.empty()) s += '.';
    return s;
}

void Errors::add(const Path& path, std::string message) {
    if (list.size() < kMaxErrors) list.push_back({path.text(), std::move(message)});
}

void Errors::wrong_type(const Path& path, std::string_view expected, const boost::json::value& got) {
    add(path, "expected " + std::string(expected) + ", got " + std::string(kind_name(got)));
}

void Errors::check_depth(const Path& path, const boost::json::value& free_form) {
    if (nested_deeper_than(free_form, kMaxFreeDepth))
        add(path, "is nested deeper than " + std::to_string(kMaxFreeDepth) + " levels");
}

void Errors::unknown_value(const Path& path, std::string_view got, std::string_view expected) {
    std::string shown(got.substr(0, kQuoted));
    if (got.size() > kQuoted) {
        std::string buffer;
        shown = std::string(as_utf8(shown, buffer)) + "...";  // the cut may have split a character
    }
    add(path, "unknown value \"" + shown + "\", expected " + std::string(expected));
}

Parsed<boost::json::value> parse_text(std::string_view text, boost::json::storage_ptr storage) {
    unsigned char scratch[4096];
    boost::json::parse_options options;
    options.max_depth = kMaxDepth;
    boost::json::parser parser({}, options, scratch, sizeof scratch);
    parser.reset(std::move(storage));
    boost::system::error_code ec;
    const std::size_t n = parser.write_some(text.data(), text.size(), ec);
    if (!ec && n != text.size()) ec = boost::json::error::extra_data;
    if (ec)
        return std::unexpected(FieldErrors{{"", "invalid JSON at byte " + std::to_string(n) + ": " + ec.message()}});
    return parser.release();
}

boost::json::value from_text(std::string_view text) {
    if (text == "True" || text == "False") return text == "True";
    if (text == "None") return nullptr;
    auto value = parse_text(text, {});
    if (!value) return boost::json::value(boost::json::string_view(text.data(), text.size()));
    return std::move(*value);
}

std::string_view as_utf8(std::string_view text, std::string& buffer) {
    std::size_t good = 0;
    while (good < text.size()) {
        const auto n = sequence_length(text.substr(good));
        if (n == 0) break;
        good += n;
    }
    if (good == text.size()) return text;
    buffer.assign(text.substr(0, good));
    for (std::size_t i = good; i < text.size();) {
        const auto n = sequence_length(text.substr(i));
        if (n == 0)
            buffer += "\xef\xbf\xbd";
        else
            buffer.append(text.substr(i, n));
        i += n == 0 ? 1 : n;
    }
    return buffer;
}

std::string serialize(const boost::json::value& value) { return boost::json::serialize(value); }

}  // namespace detail
}  // namespace codegen::json
