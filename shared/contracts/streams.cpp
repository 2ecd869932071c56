#include "shared/contracts/streams.hpp"

#include <fmt/format.h>

#include "shared/contracts/keys.hpp"
#include "shared/json/enum.hpp"

namespace codegen::contracts {
namespace streams {

std::string worker_commands_of(std::string_view host) { return fmt::format("worker:commands:{}", host); }
std::string worker_lifecycle_of(std::string_view host) { return fmt::format("worker:lifecycle:{}", host); }
std::string worker_responses(WorkerType type) { return fmt::format("worker:responses:{}", json::name_of(type)); }
std::string worker_input(std::string_view worker_id) { return fmt::format("worker:{}:input", worker_id); }
std::string worker_output(std::string_view worker_id) { return fmt::format("worker:{}:output", worker_id); }
std::string worker_events(std::string_view worker_id) { return fmt::format("worker:{}:events", worker_id); }
std::string po_worker_input(std::string_view worker_id) { return fmt::format("worker:po:{}:input", worker_id); }
std::string po_worker_output(std::string_view worker_id) { return fmt::format("worker:po:{}:output", worker_id); }
std::string task_progress(std::string_view task_id) { return fmt::format("task_progress:{}", task_id); }
std::string dead_letters(std::string_view stream) { return fmt::format("{}:dlq", stream); }

}  // namespace streams

namespace keys {

std::string worker_status(std::string_view worker_id) { return fmt::format("worker:status:{}", worker_id); }
std::string worker_heartbeat(std::string_view worker_id) { return fmt::format("worker:heartbeat:{}", worker_id); }
std::string worker_session(std::string_view worker_id) { return fmt::format("worker:session:{}", worker_id); }
std::string session(std::int64_t user_id) { return fmt::format("session:{}", user_id); }
std::string image_last_used(std::string_view tag) { return fmt::format("worker:image:last_used:{}", tag); }

}  // namespace keys
}  // namespace codegen::contracts
