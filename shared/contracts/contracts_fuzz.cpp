// libFuzzer: no input may crash a reader, and what a reader accepts it must accept again after writing it.
#include <cstdlib>

#include "shared/contracts/contract_list.hpp"
#include "shared/contracts/contracts.hpp"
#include "shared/contracts/dto/manager.hpp"

namespace {

using namespace codegen;
using namespace codegen::contracts;

template <class T>
void read_write_read(std::string_view text) {
    const auto parsed = json::parse<T>(text);
    if (parsed && !json::parse<T>(json::write(*parsed))) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
#define CODEGEN_FUZZ_ONE(T) read_write_read<T>(text);
    CODEGEN_QUEUE_CONTRACTS(CODEGEN_FUZZ_ONE)
    CODEGEN_DTO_CONTRACTS(CODEGEN_FUZZ_ONE)
#undef CODEGEN_FUZZ_ONE
    const auto command = parse_worker_command(text);
    if (command && !parse_worker_command(write(*command))) std::abort();
    return 0;
}
