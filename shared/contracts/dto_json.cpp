#include "shared/contracts/contracts.hpp"
#include "shared/json/instantiate.hpp"

using namespace codegen::contracts;  // NOLINT: nothing but instantiations here

// A list answer is a plain array.
#define CODEGEN_RESOURCE(T)     \
    CODEGEN_JSON_INSTANTIATE(T) \
    CODEGEN_JSON_INSTANTIATE(std::vector<T>)

CODEGEN_RESOURCE(User)
CODEGEN_JSON_INSTANTIATE(UserCreate)
CODEGEN_JSON_INSTANTIATE(UserUpsert)
CODEGEN_RESOURCE(Token)
CODEGEN_JSON_INSTANTIATE(TokenCreate)
CODEGEN_JSON_INSTANTIATE(TokenCreated)
CODEGEN_RESOURCE(Project)
CODEGEN_JSON_INSTANTIATE(ProjectCreate)
CODEGEN_JSON_INSTANTIATE(ProjectPatch)
CODEGEN_RESOURCE(TaskRecord)
CODEGEN_JSON_INSTANTIATE(TaskCreate)
CODEGEN_JSON_INSTANTIATE(TaskPatch)
CODEGEN_RESOURCE(TaskExecution)
CODEGEN_JSON_INSTANTIATE(ProblemDocument)
CODEGEN_JSON_INSTANTIATE(Health)
