#include "shared/contracts/contracts.hpp"
#include "shared/contracts/dto/manager.hpp"
#include "shared/json/instantiate.hpp"

using namespace codegen::contracts;  // NOLINT: nothing but instantiations here

CODEGEN_JSON_INSTANTIATE(HostAnnouncement)
CODEGEN_JSON_INSTANTIATE(std::vector<Host>)
CODEGEN_JSON_INSTANTIATE(TokenSelf)
CODEGEN_JSON_INSTANTIATE(WorkerView)
CODEGEN_JSON_INSTANTIATE(std::vector<WorkerView>)
CODEGEN_JSON_INSTANTIATE(WorkerExec)
CODEGEN_JSON_INSTANTIATE(WorkerExecAnswer)
CODEGEN_JSON_INSTANTIATE(ImageView)
CODEGEN_JSON_INSTANTIATE(std::vector<ImageView>)
CODEGEN_JSON_INSTANTIATE(ImagePrune)
CODEGEN_JSON_INSTANTIATE(ImagePruneAnswer)
