// Every stream: who writes what into it and who reads it (docs/protocols.md, "Queues").
#pragma once
#include <array>
#include <span>
#include <string_view>

namespace codegen::contracts {

struct StreamReader {
    std::string_view role;
    std::string_view group;
};

struct StreamDescription {
    std::string_view address;                     // "worker:{worker_id}:input"
    std::array<std::string_view, 4> messages{};   // contracts; one of them
    std::array<std::string_view, 5> writers{};    // roles
    std::array<StreamReader, 2> readers{};        // with a consumer group, one each
    std::array<std::string_view, 3> observers{};  // without one
    std::string_view summary{};
};

std::span<const StreamDescription> stream_table();
// The group that consumes the stream of this address, its first where there are several; empty: nobody does.
std::string_view reader_group(std::string_view address);

}  // namespace codegen::contracts
