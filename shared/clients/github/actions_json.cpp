#include "shared/clients/github/actions.hpp"
#include "shared/json/instantiate.hpp"

CODEGEN_JSON_INSTANTIATE(codegen::clients::github::SecretsKey)
CODEGEN_JSON_INSTANTIATE(codegen::clients::github::SecretName)
CODEGEN_JSON_INSTANTIATE(codegen::clients::github::WorkflowRun)
CODEGEN_JSON_INSTANTIATE(codegen::clients::github::DispatchedRun)
CODEGEN_JSON_INSTANTIATE(codegen::clients::github::RunsPage)
