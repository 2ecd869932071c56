// The writing half of json.hpp. Include only where contracts are instantiated (instantiate.hpp).
#pragma once
#include <boost/json/serialize.hpp>

#include "shared/json/decode.hpp"

namespace codegen::json::detail {

// `text`, with every byte that is not valid UTF-8 replaced by U+FFFD (in `buffer`, when there is one): what we write
// can always be read.
std::string_view as_utf8(std::string_view text, std::string& buffer);
std::string serialize(const boost::json::value& value);

template <class T>
void encode(boost::json::value& j, const T& x) {
    if constexpr (std::same_as<T, boost::json::value>) {
        j = x;
    } else if constexpr (std::same_as<T, boost::json::object>) {
        j.emplace_object() = x;
    } else if constexpr (std::floating_point<T>) {
        if (std::isfinite(x))
            j = x;
        else
            j = nullptr;  // JSON has no infinity
    } else if constexpr (std::same_as<T, bool> || std::integral<T>) {
        j = x;
    } else if constexpr (std::same_as<T, std::string>) {
        std::string buffer;
        const auto text = as_utf8(x, buffer);
        j.emplace_string().assign(text.data(), text.size());
    } else if constexpr (kIsOptional<T>) {
        encode(j, *x);  // an absent one was left out
    } else if constexpr (kIsPatch<T>) {
        if (x.value)
            encode(j, *x.value);
        else
            j = nullptr;
    } else if constexpr (std::same_as<T, Timestamp>) {
        const auto text = format_timestamp(x);
        j.emplace_string().assign(text.data(), text.size());
    } else if constexpr (DescribedEnum<T>) {
        const auto text = name_of(x);
        j.emplace_string().assign(text.data(), text.size());
    } else if constexpr (kIsVector<T>) {
        auto& a = j.emplace_array();
        a.reserve(x.size());
        for (const auto& element : x) encode<typename T::value_type>(a.emplace_back(nullptr), element);
    } else if constexpr (kIsMap<T>) {
        auto& o = j.emplace_object();
        std::string buffer;
        for (const auto& [key, element] : x) encode(o[as_utf8(key, buffer)], element);
    } else {
        auto& o = j.emplace_object();
        o.reserve(boost::mp11::mp_size<Members<T>>::value);
        boost::mp11::mp_for_each<Members<T>>([&](auto d) {
            const auto& member = x.*d.pointer;
            using M = std::remove_cvref_t<decltype(member)>;
            if constexpr (kIsOptional<M>)
                if (!member) return;
            if constexpr (kIsPatch<M>)
                if (!member.present) return;
            encode(o[wire_name(d.name)], member);
        });
    }
}

}  // namespace codegen::json::detail

namespace codegen::json {

template <class T>
boost::json::value to_value(const T& x) {
    boost::json::value j;
    detail::encode(j, x);
    return j;
}

template <class T>
std::string write(const T& x) {
    unsigned char buffer[8192];
    boost::json::monotonic_resource memory(buffer, sizeof buffer);
    boost::json::value j(&memory);
    detail::encode(j, x);
    return detail::serialize(j);
}

}  // namespace codegen::json
