// Described structs <-> rows: a member is the column of its name. Text, numbers and enums are themselves; booleans 0/1;
// times microseconds; objects and lists JSON text; an absent optional NULL; of a patch only what is present.
#pragma once
#include <boost/describe/members.hpp>
#include <boost/json/serialize.hpp>
#include <concepts>
#include <string>
#include <type_traits>
#include <vector>

#include "services/api/rows.hpp"
#include "shared/json/description.hpp"

namespace codegen::api {

template <class M>
storage::Value value_of(const M& member) {
    if constexpr (json::detail::kIsOptional<M>) {
        return member ? value_of(*member) : storage::Value();
    } else if constexpr (std::same_as<M, bool>) {
        return std::int64_t{member};
    } else if constexpr (json::DescribedEnum<M>) {
        return std::string(json::name_of(member));
    } else if constexpr (std::same_as<M, Timestamp>) {
        return to_micros(member);
    } else if constexpr (std::same_as<M, boost::json::object>) {
        return boost::json::serialize(member);
    } else if constexpr (std::same_as<M, std::vector<std::string>>) {
        return json_list(member);
    } else if constexpr (json::detail::kIsVector<M>) {  // of enums
        std::vector<std::string> names;
        for (const auto& element : member) names.emplace_back(json::name_of(element));
        return json_list(names);
    } else {
        return member;
    }
}

template <class M>
void read_member(M& member, const storage::Row& row, std::string_view column) {
    if constexpr (json::detail::kIsOptional<M>) {
        member.reset();
        if (!row.is_null(column)) read_member(member.emplace(), row, column);
    } else if constexpr (std::same_as<M, bool>) {
        member = row.integer(column) != 0;
    } else if constexpr (json::DescribedEnum<M>) {
        member = enum_column<M>(row, column);
    } else if constexpr (std::same_as<M, Timestamp>) {
        member = time_column(row, column);
    } else if constexpr (std::same_as<M, boost::json::object>) {
        member = object_column(row, column);
    } else if constexpr (std::same_as<M, std::vector<std::string>>) {
        member = string_list(row.text(column));
    } else if constexpr (json::detail::kIsVector<M>) {
        member.clear();
        for (const auto& name : string_list(row.text(column)))
            member.push_back(json::enum_from<typename M::value_type>(name).value());
    } else if constexpr (std::same_as<M, double>) {
        member = row.real(column);
    } else if constexpr (std::same_as<M, std::int64_t>) {
        member = row.integer(column);
    } else {
        member = row.text(column);
    }
}

// Every member of T is a column of the row.
template <class T>
T record_of(const storage::Row& row) {
    T record;
    boost::mp11::mp_for_each<json::detail::Members<T>>(
        [&](auto d) { read_member(record.*d.pointer, row, json::wire_name(d.name)); });
    return record;
}
template <class T>
std::string write_record(const storage::Row& row) {
    return json::write(record_of<T>(row));
}

template <class T>
Assignments assignments_of(const T& body) {
    Assignments out;
    boost::mp11::mp_for_each<json::detail::Members<T>>([&](auto d) {
        const auto& member = body.*d.pointer;
        if constexpr (json::detail::kIsPatch<std::remove_cvref_t<decltype(member)>>) {
            if (member.present) out.set(json::wire_name(d.name), value_of(member.value));
        } else {
            out.set(json::wire_name(d.name), value_of(member));
        }
    });
    return out;
}

}  // namespace codegen::api
