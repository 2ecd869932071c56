#include "shared/storage/database.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace codegen::storage {

Parameters::Parameters(std::initializer_list<Parameter> list) {
    for (const auto& parameter : list) set(parameter.name, parameter.value);
}

void Parameters::set(std::string_view name, Value value) {
    values.insert_or_assign(std::string(name), std::move(value));
}

Row::Row(std::shared_ptr<const std::vector<std::string>> names, std::vector<Value> values)
    : names_(std::move(names)), values_(std::move(values)) {}

const Value& Row::at(std::string_view column) const {
    const auto found = std::find(names_->begin(), names_->end(), column);
    if (found == names_->end()) throw std::logic_error(fmt::format("no column {} in the result", column));
    return values_[static_cast<std::size_t>(found - names_->begin())];
}

std::string Row::text(std::string_view column) const {
    if (const auto* text = std::get_if<std::string>(&at(column))) return *text;
    throw std::logic_error(fmt::format("column {} is not text", column));
}

std::int64_t Row::integer(std::string_view column) const {
    if (const auto* number = std::get_if<std::int64_t>(&at(column))) return *number;
    throw std::logic_error(fmt::format("column {} is not an integer", column));
}

double Row::real(std::string_view column) const {
    const auto& value = at(column);
    if (const auto* number = std::get_if<double>(&value)) return *number;
    if (const auto* number = std::get_if<std::int64_t>(&value)) return static_cast<double>(*number);
    throw std::logic_error(fmt::format("column {} is not a number", column));
}

bool Row::has(std::string_view column) const { return std::ranges::find(*names_, column) != names_->end(); }

bool Row::is_null(std::string_view column) const { return std::holds_alternative<std::monostate>(at(column)); }

std::optional<std::string> Row::optional_text(std::string_view column) const {
    if (is_null(column)) return std::nullopt;
    return text(column);
}

std::optional<std::int64_t> Row::optional_integer(std::string_view column) const {
    if (is_null(column)) return std::nullopt;
    return integer(column);
}

}  // namespace codegen::storage
