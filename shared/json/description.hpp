// What decode.hpp and encode.hpp ask about a type, and how decode.hpp keeps its place and its errors.
#pragma once
#include <boost/describe/members.hpp>
#include <boost/describe/modifiers.hpp>
#include <boost/json/value.hpp>
#include <concepts>
#include <map>
#include <type_traits>
#include <utility>
#include <vector>

#include "shared/json/enum.hpp"
#include "shared/json/json.hpp"
#include "shared/json/rule.hpp"

namespace codegen::json::detail {

inline constexpr std::size_t kMaxErrors = 50;  // of one document; enough for a person, bounded for a hostile sender

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsPatch = false;
template <class T>
inline constexpr bool kIsPatch<Patch<T>> = true;
template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsMap = false;
template <class T>
inline constexpr bool kIsMap<std::map<std::string, T>> = true;
template <class T>
concept DescribedStruct = boost::describe::has_describe_members<T>::value && !std::is_union_v<T>;
template <class T>
using Members = boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;

// Where we are: a list on the stack, so that nothing is allocated unless there is an error to report.
struct Path {
    const Path* up = nullptr;
    std::string_view key{};
    std::size_t index = static_cast<std::size_t>(-1);
    std::string text() const;
    std::string prefix() const;  // text() and a dot, or nothing at the root
};

struct Errors {
    FieldErrors list;
    bool text_fields = false;  // parse_fields(): the root's values are text
    void add(const Path& path, std::string message);
    void wrong_type(const Path& path, std::string_view expected, const boost::json::value& got);
    void unknown_value(const Path& path, std::string_view got, std::string_view expected);
    void check_depth(const Path& path, const boost::json::value& free_form);
};

// `name` of a described struct may be absent. Every class of a hierarchy lists its own members.
template <class C>
consteval bool is_defaulted(std::string_view name) {
    if constexpr (requires { C::defaulted; })
        for (std::string_view d : C::defaulted)
            if (d == name) return true;
    return false;
}
template <class M, class C>
C declaring_class(M C::*);
template <class C>
consteval bool has_rule(std::string_view name) {
    if constexpr (requires { C::rules; })
        for (const Rule& rule : C::rules)
            if (rule.field == name) return true;
    return false;
}
template <class C>
constexpr const Rule& rule_of(std::string_view name) {  // has_rule
    for (const Rule& rule : C::rules)
        if (rule.field == name) return rule;
    std::unreachable();
}
std::string number_text(double number);
std::string number_text(std::int64_t number);

template <class T>
inline constexpr bool kIsText = std::same_as<T, std::string> || std::same_as<T, Timestamp> || DescribedEnum<T>;
template <class T>
inline constexpr bool kIsText<std::optional<T>> = kIsText<T>;

}  // namespace codegen::json::detail
