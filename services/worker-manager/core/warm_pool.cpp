#include "services/worker-manager/core/warm_pool.hpp"

#include <algorithm>

namespace codegen::worker_manager {

WarmPool::Kind* WarmPool::find(const std::string& name) {
    const auto found = std::ranges::find(kinds_, name, &Kind::name);
    return found == kinds_.end() ? nullptr : &*found;
}

void WarmPool::asked(const std::string& kind, Timestamp now) {
    if (each_ == 0) return;
    Kind entry{kind, now, {}, 0, {}};
    if (const auto known = std::ranges::find(kinds_, kind, &Kind::name); known != kinds_.end()) {
        entry = std::move(*known);
        entry.asked = now;
        kinds_.erase(known);
    }
    kinds_.push_front(std::move(entry));
}

std::optional<std::string> WarmPool::take(const std::string& kind) {
    auto* known = find(kind);
    if (!known || known->slots.empty()) return {};
    auto slot = std::move(known->slots.front());
    known->slots.pop_front();
    return slot;
}

WarmPool::Moves WarmPool::advance(Timestamp now, std::size_t room) {
    Moves moves;
    while (!kinds_.empty() && (kinds_.size() > kKinds || kinds_.back().asked + kRemembered < now)) {
        std::ranges::move(kinds_.back().slots, std::back_inserter(moves.drop));
        orphans_ += kinds_.back().making;
        kinds_.pop_back();
    }
    for (auto kind = kinds_.rbegin(); kind != kinds_.rend(); ++kind) {
        while (!kind->slots.empty() && standing() > room) {
            moves.drop.push_back(std::move(kind->slots.front()));
            kind->slots.pop_front();
        }
    }
    for (auto& kind : kinds_) {
        while (kind.slots.size() + kind.making < each_ && standing() < room && kind.not_before <= now) {
            ++kind.making;
            moves.make.push_back(kind.name);
        }
    }
    return moves;
}

void WarmPool::made(const std::string& kind, std::string slot) {
    auto* known = find(kind);
    if (!known || known->making == 0) {
        // Forgotten meanwhile: kept for one round under a kind that the next one drops.
        if (orphans_ > 0) --orphans_;
        kinds_.push_back({kind, Timestamp{}, {}, 0, {std::move(slot)}});
        return;
    }
    --known->making;
    known->slots.push_back(std::move(slot));
}

void WarmPool::not_made(const std::string& kind, Timestamp now) {
    auto* known = find(kind);
    if (!known || known->making == 0) {
        if (orphans_ > 0) --orphans_;
        return;
    }
    --known->making;
    known->not_before = now + kPauseAfterFailure;
}

void WarmPool::lost(const std::string& slot, Timestamp now) {
    for (auto& kind : kinds_)
        if (std::erase(kind.slots, slot) != 0) kind.not_before = now + kPauseAfterFailure;
}

std::size_t WarmPool::standing() const {
    std::size_t sum = orphans_;
    for (const auto& kind : kinds_) sum += kind.making + kind.slots.size();
    return sum;
}

}  // namespace codegen::worker_manager
