#include "services/worker-manager/core/idleness.hpp"

namespace codegen::worker_manager {
namespace {

using redis::Reply;

// XINFO answers with name, value, name, value.
const Reply* field(const Reply& map, std::string_view name) {
    for (std::size_t i = 0; i + 1 < map.elements.size(); i += 2)
        if (map.elements[i].text == name) return &map.elements[i + 1];
    return nullptr;
}

}  // namespace

IdleMove idle_move(WorkerState state, Timestamp active, Timestamp now, const IdleLimits& limits) {
    if (state != WorkerState::RUNNING && state != WorkerState::PAUSED) return IdleMove::stay;
    const auto idle = now - active;
    if (limits.remove.count() > 0 && idle >= limits.remove) return IdleMove::remove;
    if (state == WorkerState::RUNNING && limits.pause.count() > 0 && idle >= limits.pause) return IdleMove::pause;
    return IdleMove::stay;
}

std::optional<InputState> input_state(const Reply& stream, const Reply& groups, std::string_view group) {
    if (stream.is_error()) return stream.text.contains("no such key") ? std::optional(InputState{}) : std::nullopt;
    const auto* last = field(stream, "last-generated-id");
    const auto* length = field(stream, "length");
    if (!last || !length || groups.is_error()) return std::nullopt;
    InputState out{last->text, length->integer == 0};
    for (const auto& each : groups.elements) {
        const auto* name = field(each, "name");
        const auto* pending = field(each, "pending");
        const auto* delivered = field(each, "last-delivered-id");
        if (!name || name->text != group || !pending || !delivered) continue;
        out.settled = pending->integer == 0 && delivered->text == out.last_id;
    }
    return out;
}

}  // namespace codegen::worker_manager
