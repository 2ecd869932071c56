#include "shared/contracts/contracts.hpp"
#include "shared/json/instantiate.hpp"

using namespace codegen::contracts;  // NOLINT: nothing but instantiations here

CODEGEN_JSON_INSTANTIATE(Host)
CODEGEN_JSON_INSTANTIATE(Server)
CODEGEN_JSON_INSTANTIATE(Allocation)
CODEGEN_JSON_INSTANTIATE(Incident)
CODEGEN_JSON_INSTANTIATE(ServiceDeployment)
CODEGEN_JSON_INSTANTIATE(AgentConfig)
CODEGEN_JSON_INSTANTIATE(CliAgentConfig)
CODEGEN_JSON_INSTANTIATE(ApiKey)
CODEGEN_JSON_INSTANTIATE(ApiKeyCreate)
CODEGEN_JSON_INSTANTIATE(AvailableModel)
CODEGEN_JSON_INSTANTIATE(Resource)
