// Which messages a worker may have added to which streams, and what becomes of them first. Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "services/worker-manager/gateway/identity.hpp"
#include "shared/base/result.hpp"

namespace codegen::worker_manager {

struct OwnedObject {
    std::string kind;  // "projects", "tasks"
    std::string id;    // a uuid
};

struct StreamMessage {
    std::string data;                // to be added: user_id is the worker's user, callback_stream is gone
    std::vector<OwnedObject> owned;  // what must be visible to the worker's token first
    std::size_t cap = 0;             // approximate length of the stream; 0: none
};

// Errors: "forbidden" (stream or permission), "invalid" (the message; all paths).
Result<StreamMessage> check_stream_message(const GatewayIdentity& worker, std::string_view stream,
                                           std::string_view body);

// The consumer group of a stream that this worker may start tasks through: it may ask whether anybody takes from it.
// Errors: "forbidden".
Result<std::string> check_stream_question(const GatewayIdentity& worker, std::string_view stream);

}  // namespace codegen::worker_manager
