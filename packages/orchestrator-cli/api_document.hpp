// The API's OpenAPI document of this version: shared/contracts/schemas/openapi.json, put into the program by CMake. A
// test of services/api holds that file to the routes.
#pragma once
#include <string_view>

namespace codegen::cli {

std::string_view api_document();

}  // namespace codegen::cli
