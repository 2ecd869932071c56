// Streams of progress (task_progress:*): for people who watch, nothing depends on them.
#pragma once
#include <chrono>
#include <string>

#include "shared/redis/client.hpp"

namespace codegen::redis {

inline constexpr std::size_t kProgressKept = 1000;          // entries, about
inline constexpr std::chrono::hours kProgressLife{7 * 24};  // after the last one

// Adds an event and has the stream expire when nothing follows for kProgressLife; both or neither. The client outlives
// the call.
Task<Result<void>> publish_progress(Client* client, std::string stream, std::string event);

}  // namespace codegen::redis
