// Any bytes, in two slices: never a crash, and what was read can be written and read again.
#include "shared/resp/resp.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace codegen::redis;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    ReplyReader reader;
    for (const auto slice : {bytes.substr(0, size / 2), bytes.substr(size / 2)}) {
        reader.feed(slice);
        for (;;) {
            auto reply = reader.next();
            if (!reply || !*reply) break;
            const std::string wire = encode_reply(**reply);
            ReplyReader again;
            again.feed(wire);
            auto second = again.next();
            if (!second || !*second || encode_reply(**second) != wire) __builtin_trap();
        }
    }
    return 0;
}
