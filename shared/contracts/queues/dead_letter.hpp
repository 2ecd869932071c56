// {any}:dlq. The two parts of a dead letter are two fields of its stream entry, not one `data`.
#pragma once
#include "shared/contracts/queues/base.hpp"

namespace codegen::contracts {

struct DeadLetterContext {
    std::string error;
    DeadLetterCategory category{};
    Timestamp timestamp{};
    std::string service;
    std::int64_t attempts = 1;
    std::string stream;
    std::string entry_id;
};
BOOST_DESCRIBE_STRUCT(DeadLetterContext, (), (error, category, timestamp, service, attempts, stream, entry_id))

struct DeadLetter {
    std::string original_message;  // byte for byte, also when it was no JSON
    DeadLetterContext error_context;
};
BOOST_DESCRIBE_STRUCT(DeadLetter, (), (original_message, error_context))

}  // namespace codegen::contracts
