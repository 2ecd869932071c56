#include "shared/contracts/contract_reflection.hpp"

#include "shared/contracts/contract_list.hpp"
#include "shared/contracts/contracts.hpp"
#include "shared/contracts/dto/manager.hpp"

namespace codegen::contracts::reflection {
namespace {

template <class T>
json::Parsed<std::string> rewrite(std::string_view text) {
    auto parsed = json::parse<T>(text);
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    return json::write(*parsed);
}

}  // namespace

const std::vector<Contract>& all_contracts() {
    static const std::vector<Contract> all = [] {
        std::vector<Contract> made;
        for (const auto& [name, folder, shape] : all_shapes())
            made.push_back({std::string(name), std::string(folder), shape, {}});
        std::size_t at = 0;  // the lists below name them in the same order
#define CODEGEN_REWRITE(T) made[at++].rewrite = rewrite<T>;
        CODEGEN_QUEUE_CONTRACTS(CODEGEN_REWRITE)
        CODEGEN_DTO_CONTRACTS(CODEGEN_REWRITE)
#undef CODEGEN_REWRITE
        return made;
    }();
    return all;
}

}  // namespace codegen::contracts::reflection
