// Names of the Redis keys beside streams, and their lifetimes (docs/protocols.md, "Redis keys beside streams").
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace codegen::contracts::keys {

std::string worker_status(std::string_view worker_id);                       // hash; `status` is a WorkerState
std::string worker_heartbeat(std::string_view worker_id);                    // string with a TTL
std::string worker_session(std::string_view worker_id);                      // string {"session_id": uuid}
std::string session(std::int64_t user_id);                                   // the PO worker that serves this user
std::string image_last_used(std::string_view tag);                           // ISO time
inline constexpr std::string_view kCreationQueue = "worker:creation_queue";  // list
inline constexpr std::string_view kManagerHosts = "worker-manager:hosts";    // hash: host -> what its manager announces

inline constexpr std::chrono::seconds kHeartbeatTtl{30};
inline constexpr std::chrono::seconds kHeartbeatInterval{10};
inline constexpr std::chrono::seconds kWorkerSessionTtl{7200};
inline constexpr std::chrono::hours kSessionTtl{24};
inline constexpr std::chrono::hours kDeletedStatusTtl{24};  // the status hash of a deleted worker

}  // namespace codegen::contracts::keys
