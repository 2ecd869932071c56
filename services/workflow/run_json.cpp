#include "services/workflow/run.hpp"
#include "shared/json/instantiate.hpp"

CODEGEN_JSON_INSTANTIATE(codegen::workflow::RunData)
