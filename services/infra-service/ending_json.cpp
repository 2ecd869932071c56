#include "services/infra-service/ending.hpp"
#include "shared/json/instantiate.hpp"

CODEGEN_JSON_INSTANTIATE(codegen::infra::Ending)
