// For the one .cpp that instantiates a contract, at global scope: CODEGEN_JSON_INSTANTIATE(codegen::contracts::User).
// Everybody else includes json.hpp and links.
#pragma once
#include "shared/json/decode.hpp"
#include "shared/json/encode.hpp"

#define CODEGEN_JSON_INSTANTIATE(T)                                                            \
    template codegen::json::Parsed<T> codegen::json::parse<T>(std::string_view);               \
    template codegen::json::Parsed<T> codegen::json::parse_fields<T>(std::string_view);        \
    template codegen::json::Parsed<T> codegen::json::from_value<T>(const boost::json::value&); \
    template boost::json::value codegen::json::to_value<T>(const T&);                          \
    template std::string codegen::json::write<T>(const T&);
