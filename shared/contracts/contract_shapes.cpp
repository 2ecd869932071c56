#include "shared/contracts/contract_list.hpp"
#include "shared/contracts/contract_name.hpp"
#include "shared/contracts/contract_reflection.hpp"
#include "shared/contracts/contracts.hpp"
#include "shared/contracts/dto/manager.hpp"
#include "shared/json/encode.hpp"

namespace codegen::contracts::reflection {
namespace {

template <class T>
Shape shape_of() {
    using json::detail::kIsMap, json::detail::kIsOptional, json::detail::kIsPatch, json::detail::kIsVector;
    if constexpr (std::same_as<T, boost::json::value>)
        return {Kind::any, {}, {}, {}};
    else if constexpr (std::same_as<T, boost::json::object>)
        return {Kind::any_object, {}, {}, {}};
    else if constexpr (kIsOptional<T> || kIsPatch<T>)
        return shape_of<typename T::value_type>();
    else if constexpr (std::same_as<T, bool>)
        return {Kind::boolean, {}, {}, {}};
    else if constexpr (std::integral<T>)
        return {Kind::integer, {}, {}, {}};
    else if constexpr (std::floating_point<T>)
        return {Kind::number, {}, {}, {}};
    else if constexpr (std::same_as<T, std::string>)
        return {Kind::string, {}, {}, {}};
    else if constexpr (std::same_as<T, Timestamp>)
        return {Kind::timestamp, {}, {}, {}};
    else if constexpr (json::DescribedEnum<T>)
        return {Kind::enumeration, json::names_of<T>(), {}, {}};
    else if constexpr (kIsVector<T>)
        return {Kind::list, {}, {shape_of<typename T::value_type>()}, {}};
    else if constexpr (kIsMap<T>)
        return {Kind::map, {}, {shape_of<typename T::mapped_type>()}, {}};
    else {
        Shape shape{Kind::record, {}, {}, {}, std::string(type_name<T>())};
        if constexpr (requires { T::needs; }) shape.needs.assign(T::needs.begin(), T::needs.end());
        const T one{};
        const T other{};
        boost::mp11::mp_for_each<json::detail::Members<T>>([&](auto d) {
            using M = std::remove_cvref_t<decltype(std::declval<T&>().*d.pointer)>;
            using C = decltype(json::detail::declaring_class(d.pointer));
            const bool required = !kIsOptional<M> && !kIsPatch<M> && !json::detail::is_defaulted<C>(d.name);
            Field field{std::string(json::wire_name(d.name)), required, kIsPatch<M>, {shape_of<M>()}};
            if constexpr (json::detail::has_rule<C>(d.name)) field.rule = json::detail::rule_of<C>(d.name);
            if constexpr (json::detail::is_defaulted<C>(d.name) && !std::same_as<M, Timestamp>) {
                boost::json::value value;
                boost::json::value again;
                json::detail::encode(value, one.*d.pointer);
                json::detail::encode(again, other.*d.pointer);
                if (value == again) field.default_value = std::move(value);  // else it is a new id
            }
            shape.fields.push_back(std::move(field));
        });
        return shape;
    }
}

}  // namespace

const std::vector<NamedShape>& all_shapes() {
    static const std::vector<NamedShape> all{
#define CODEGEN_SHAPE_OF_QUEUE(T) {#T, "queues", shape_of<T>()},
#define CODEGEN_SHAPE_OF_DTO(T) {#T, "dto", shape_of<T>()},
        CODEGEN_QUEUE_CONTRACTS(CODEGEN_SHAPE_OF_QUEUE) CODEGEN_DTO_CONTRACTS(CODEGEN_SHAPE_OF_DTO)};
#undef CODEGEN_SHAPE_OF_QUEUE
#undef CODEGEN_SHAPE_OF_DTO
    return all;
}

}  // namespace codegen::contracts::reflection
