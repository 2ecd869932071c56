#include "shared/contracts/wrapper_config.hpp"
#include "shared/json/instantiate.hpp"

CODEGEN_JSON_INSTANTIATE(codegen::contracts::WrapperConfig)
CODEGEN_JSON_INSTANTIATE(codegen::contracts::ResultFile)
