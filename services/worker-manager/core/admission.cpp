#include "services/worker-manager/core/admission.hpp"

#include <algorithm>

namespace codegen::worker_manager {

void Admission::ask(const std::string& worker_id, Timestamp since, std::int64_t memory) {
    if (holders_.contains(worker_id) || std::ranges::find(queue_, worker_id, &Waiting::worker_id) != queue_.end())
        return;
    queue_.push_back({worker_id, since, memory});
}

void Admission::hold(const std::string& worker_id) {
    std::erase_if(queue_, [&](const Waiting& w) { return w.worker_id == worker_id; });
    holders_.insert(worker_id);
}

void Admission::settled(const std::string& worker_id) { promised_.erase(worker_id); }

void Admission::leave(const std::string& worker_id) {
    promised_.erase(worker_id);
    holders_.erase(worker_id);
    std::erase_if(queue_, [&](const Waiting& w) { return w.worker_id == worker_id; });
}

Admission::Moves Admission::advance(Timestamp now, std::optional<std::int64_t> available) {
    Moves moves;
    std::erase_if(queue_, [&](const Waiting& w) {
        if (w.since + patience_ > now) return false;
        moves.expired.push_back(w.worker_id);
        return true;
    });
    // Those that were let in and do not run yet will take theirs.
    for (const auto& [id, memory] : promised_)
        if (available) *available -= memory;
    wants_memory_ = false;
    while (!queue_.empty() && holders_.size() < slots_) {
        auto& first = queue_.front();
        wants_memory_ = available && first.memory > *available;
        if (wants_memory_) break;
        if (available) *available -= first.memory;
        promised_[first.worker_id] = first.memory;
        moves.admitted.push_back(first.worker_id);
        holders_.insert(std::move(first.worker_id));
        queue_.pop_front();
    }
    return moves;
}

std::optional<Timestamp> Admission::next_expiry() const {
    if (queue_.empty()) return {};
    return std::ranges::min(queue_, {}, &Waiting::since).since + patience_;
}

std::vector<std::string> Admission::waiting() const {
    std::vector<std::string> out;
    for (const auto& w : queue_) out.push_back(w.worker_id);
    return out;
}

}  // namespace codegen::worker_manager
