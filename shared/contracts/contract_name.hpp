// The name of a contract: what its schema, its golden samples and a route's declaration call it. Cheap to include.
#pragma once
#include <array>
#include <string_view>

#include "shared/contracts/contract_list.hpp"

namespace codegen::contracts {

#define CODEGEN_NAME_CONTRACT(T) std::string_view(#T),
inline constexpr std::array kContractNames{CODEGEN_QUEUE_CONTRACTS(CODEGEN_NAME_CONTRACT)
                                               CODEGEN_DTO_CONTRACTS(CODEGEN_NAME_CONTRACT)};
#undef CODEGEN_NAME_CONTRACT

// "WorkerConfig": the type's own name, without its namespaces.
template <class T>
consteval std::string_view type_name() {
    std::string_view text = __PRETTY_FUNCTION__;  // "... [T = codegen::contracts::WorkerConfig]"
    text = text.substr(text.find("T = ") + 4);
    text = text.substr(0, text.find_first_of(";]"));
    return text.substr(text.rfind(':') + 1);
}

}  // namespace codegen::contracts
