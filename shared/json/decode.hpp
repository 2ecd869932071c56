// The reading half of json.hpp. Include only where contracts are instantiated (instantiate.hpp): it compiles slowly.
#pragma once
#include <boost/json/monotonic_resource.hpp>
#include <cmath>

#include "shared/json/description.hpp"
#include "shared/json/rule.hpp"

namespace codegen::json::detail {

// The JSON that `text`, one field of parse_fields(), stands for; `text` itself when it is none.
boost::json::value from_text(std::string_view text);
template <class T>
void decode(const boost::json::value& v, T& out, Errors& errors, const Path& path);

template <class M>
void keep(const Rule& rule, const M& value, Errors& errors, const Path& path) {
    const auto note = [&](std::string message) {
        if (!message.empty()) errors.add(path, std::move(message));
    };
    if constexpr (kIsOptional<M>) {
        if (value) keep(rule, *value, errors, path);
    } else if constexpr (kIsPatch<M>) {
        if (value.value) keep(rule, *value.value, errors, path);
        if (rule.keeps_value && value.clears()) note("cannot be cleared: expected a value, got null");
    } else if constexpr (kIsVector<M>) {
        if (value.size() < rule.min_items) note("is empty: expected " + std::string(rule.expected));
        for (std::size_t i = 0; i < value.size(); ++i) keep(rule, value[i], errors, Path{&path, {}, i});
    } else if constexpr (std::same_as<M, std::string>) {
        note(breach(rule, std::string_view(value)));
    } else if constexpr (DescribedEnum<M>) {
        note(breach(rule, name_of(value)));
    } else if constexpr (std::integral<M> || std::floating_point<M>) {
        const auto shown = number_text(static_cast<std::conditional_t<std::integral<M>, std::int64_t, double>>(value));
        note(breach(rule, static_cast<double>(value), shown));
    }
}

template <class T>
void check_needs(const boost::json::object& object, const T& out, Errors& errors, const Path& path) {
    for (const auto& need : T::needs) {
        const auto* field = object.if_contains(boost::json::string_view(need.field.data(), need.field.size()));
        if (field && !field->is_null()) continue;
        boost::mp11::mp_for_each<Members<T>>([&](auto d) {
            if constexpr (DescribedEnum<std::remove_cvref_t<decltype(out.*d.pointer)>>)
                if (need.if_field == d.name && name_of(out.*d.pointer) == need.is)
                    errors.add(Path{&path, need.field}, "required field is missing where " +
                                                            std::string(need.if_field) + " is " + std::string(need.is));
        });
    }
}

template <class T>
void decode_struct(const boost::json::object& object, T& out, Errors& errors, const Path& path) {
    const std::size_t before = errors.list.size();
    boost::mp11::mp_for_each<Members<T>>([&](auto d) {
        using M = std::remove_cvref_t<decltype(out.*d.pointer)>;
        using C = decltype(declaring_class(d.pointer));
        constexpr std::string_view name = wire_name(d.name);
        const Path here{&path, name};
        const auto* field = object.if_contains(boost::json::string_view(name.data(), name.size()));
        // Null equals absent, but to a PATCH and where any JSON value is wanted.
        boost::json::value meant;
        if constexpr (!kIsText<M>)
            if (field && errors.text_fields && !path.up && field->is_string()) {
                meant = from_text(field->get_string());
                field = &meant;
            }
        if (field && (kIsPatch<M> || std::same_as<M, boost::json::value> || !field->is_null())) {
            const std::size_t found = errors.list.size();
            decode(*field, out.*d.pointer, errors, here);
            if constexpr (has_rule<C>(d.name))
                if (errors.list.size() == found) keep(rule_of<C>(d.name), out.*d.pointer, errors, here);
        } else if constexpr (!kIsOptional<M> && !kIsPatch<M> && !is_defaulted<C>(d.name))
            errors.add(here, "required field is missing");
    });
    if constexpr (requires { T::needs; })
        if (errors.list.size() == before) check_needs(object, out, errors, path);
    if constexpr (requires { out.check(errors.list, std::string{}); })
        if (errors.list.size() == before) out.check(errors.list, path.prefix());
}

template <class T>
void decode(const boost::json::value& v, T& out, Errors& errors, const Path& path) {
    if constexpr (std::same_as<T, boost::json::value>) {
        errors.check_depth(path, v);
        out = v;
    } else if constexpr (std::same_as<T, boost::json::object>) {
        errors.check_depth(path, v);
        if (const auto* o = v.if_object())
            out = *o;
        else
            errors.wrong_type(path, "object", v);
    } else if constexpr (kIsOptional<T>) {
        decode(v, out.emplace(), errors, path);  // null was handled as absent
    } else if constexpr (kIsPatch<T>) {
        out.present = true;
        out.value.reset();
        if (!v.is_null()) decode(v, out.value.emplace(), errors, path);
    } else if constexpr (std::same_as<T, bool>) {
        if (const auto* b = v.if_bool())
            out = *b;
        else
            errors.wrong_type(path, "boolean", v);
    } else if constexpr (std::integral<T>) {
        boost::system::error_code ec;
        const T n = v.to_number<T>(ec);  // exact: refuses 1.5 and what does not fit
        if (!v.is_number())
            errors.wrong_type(path, "integer", v);
        else if (ec)
            errors.add(path, "expected integer, got a number that is not whole or out of range");
        else
            out = n;
    } else if constexpr (std::floating_point<T>) {
        boost::system::error_code ec;
        const T n = v.to_number<T>(ec);
        if (!v.is_number())
            errors.wrong_type(path, "number", v);
        else if (ec || !std::isfinite(n))
            errors.add(path, "expected number, got one out of range");
        else
            out = n;
    } else if constexpr (std::same_as<T, std::string>) {
        if (const auto* s = v.if_string())
            out.assign(s->data(), s->size());
        else
            errors.wrong_type(path, "string", v);
    } else if constexpr (std::same_as<T, Timestamp>) {
        const auto* s = v.if_string();
        if (!s) return errors.wrong_type(path, "RFC 3339 timestamp", v);
        if (const auto t = parse_timestamp({s->data(), s->size()}))
            out = *t;
        else
            errors.unknown_value(path, {s->data(), s->size()}, "an RFC 3339 timestamp such as 2026-01-10T12:00:00Z");
    } else if constexpr (DescribedEnum<T>) {
        const auto* s = v.if_string();
        if (!s) return errors.wrong_type(path, "string", v);
        if (const auto e = enum_from<T>({s->data(), s->size()}))
            out = *e;
        else
            errors.unknown_value(path, {s->data(), s->size()}, "one of " + names_of<T>());
    } else if constexpr (kIsVector<T>) {
        const auto* a = v.if_array();
        if (!a) return errors.wrong_type(path, "array", v);
        out.clear();
        out.reserve(a->size());
        for (std::size_t i = 0; i < a->size(); ++i) {
            typename T::value_type element{};
            decode((*a)[i], element, errors, Path{&path, {}, i});
            out.push_back(std::move(element));
        }
    } else if constexpr (kIsMap<T>) {
        const auto* o = v.if_object();
        if (!o) return errors.wrong_type(path, "object", v);
        out.clear();
        for (const auto& field : *o) {
            const std::string_view key{field.key().data(), field.key().size()};
            decode(field.value(), out[std::string(key)], errors, Path{&path, key});
        }
    } else {
        static_assert(DescribedStruct<T>, "not described: BOOST_DESCRIBE_STRUCT or BOOST_DESCRIBE_ENUM is missing");
        const auto* o = v.if_object();
        if (!o) return errors.wrong_type(path, "object", v);
        if constexpr (requires(boost::json::object& editable) { T::normalize(editable); }) {
            auto current = *o;
            T::normalize(current);
            decode_struct(current, out, errors, path);
        } else {
            decode_struct(*o, out, errors, path);
        }
    }
}

// Parses `text` into memory of `storage`; the error is the one of json.hpp's parse().
Parsed<boost::json::value> parse_text(std::string_view text, boost::json::storage_ptr storage);

}  // namespace codegen::json::detail

namespace codegen::json {

template <class T>
Parsed<T> from_value(const boost::json::value& value) {
    T out{};
    detail::Errors errors;
    detail::decode(value, out, errors, detail::Path{});
    if (!errors.list.empty()) return std::unexpected(std::move(errors.list));
    return out;
}

template <class T>
Parsed<T> parse_fields(std::string_view text) {
    auto value = detail::parse_text(text, {});
    if (!value) return std::unexpected(std::move(value.error()));
    T out{};
    detail::Errors errors;
    errors.text_fields = true;
    detail::decode(*value, out, errors, detail::Path{});
    if (!errors.list.empty()) return std::unexpected(std::move(errors.list));
    return out;
}

template <class T>
Parsed<T> parse(std::string_view text) {
    unsigned char buffer[8192];  // a common message is parsed without touching the heap
    boost::json::monotonic_resource memory(buffer, sizeof buffer);
    auto value = detail::parse_text(text, &memory);
    if (!value) return std::unexpected(std::move(value.error()));
    return from_value<T>(*value);
}

}  // namespace codegen::json
