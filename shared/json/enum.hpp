// Described enums <-> their wire names. Header-only, cheap: for query parameters, SQL columns and logs.
#pragma once
#include <boost/describe/enumerators.hpp>
#include <boost/mp11/algorithm.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codegen::json {

template <class E>
concept DescribedEnum = boost::describe::has_describe_enumerators<E>::value;

// A C++ name as the wire has it: a trailing underscore (keyword clash) is dropped.
constexpr std::string_view wire_name(std::string_view name) {
    return name.ends_with('_') ? name.substr(0, name.size() - 1) : name;
}

// The value's wire name; empty when it is none of the described ones.
template <DescribedEnum E>
constexpr std::string_view name_of(E value) {
    std::string_view name;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>([&](auto d) {
        if (d.value == value) name = wire_name(d.name);
    });
    return name;
}

// The value of that name, or of another spelling that `enum_alias(text, E{})` beside the enum accepts.
template <DescribedEnum E>
std::optional<E> enum_from(std::string_view text) {
    std::optional<E> found;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>([&](auto d) {
        if (!found && wire_name(d.name) == text) found = d.value;
    });
    if constexpr (requires { enum_alias(text, E{}); })
        if (!found) found = enum_alias(text, E{});
    return found;
}

// "git, github_cli, curl, docker"
template <DescribedEnum E>
std::string names_of() {
    std::string names;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>([&](auto d) {
        if (!names.empty()) names += ", ";
        names += wire_name(d.name);
    });
    return names;
}

template <DescribedEnum E>
std::vector<std::string> enum_names() {
    std::vector<std::string> names;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>(
        [&](auto d) { names.emplace_back(wire_name(d.name)); });
    return names;
}

}  // namespace codegen::json
