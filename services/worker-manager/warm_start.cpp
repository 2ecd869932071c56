#include "services/worker-manager/warm_start.hpp"

#include "services/worker-manager/place.hpp"
#include "services/worker-manager/repository/tree.hpp"
#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kSlotPrefix = "prepared-";
// The worker whose creation caused it shall have the processors first.
constexpr std::chrono::milliseconds kPauseBeforeMaking{200};
constexpr std::size_t kLikes = 64;
constexpr std::chrono::seconds kPauseBeforeEndingAgain{2};

}  // namespace

WarmStart::WarmStart(asio::any_io_executor executor, std::shared_ptr<WorkerRuntime> runtime, std::size_t each,
                     fs::path workers, std::function<std::size_t()> room)
    : executor_(executor),
      runtime_(std::move(runtime)),
      workers_(std::move(workers)),
      room_(std::move(room)),
      pool_(runtime_->prepares() ? each : 0),
      scope_(executor) {
    if (each > 0 && !runtime_->prepares())
        log::info("WARM_POOL has no effect: this runtime makes a worker as fast as it could claim a prepared one",
                  {{"runtime", runtime_->name()}});
}

bool WarmStart::is_slot(const std::string& name) { return name.starts_with(kSlotPrefix); }

Task<void> WarmStart::begin() {
    std::vector<fs::path> old;
    std::error_code error;
    for (auto it = fs::directory_iterator(workers_, error); !error && it != fs::end(it); it.increment(error))
        if (is_slot(it->path().filename())) old.push_back(it->path());
    for (const auto& path : old) {
        auto removed = co_await remove_tree(path);
        if (!removed) log::warning("directories of a prepared worker", {{"error", removed.error().message}});
    }
    begun_ = true;
    settle();
}

Task<void> WarmStart::stop() {
    begun_ = false;
    co_await scope_.stop();
    const auto slots = std::exchange(slots_, {});
    for (const auto& [slot, image] : slots) {
        auto removed = co_await runtime_->remove(slot, std::chrono::milliseconds(0));
        if (removed) removed = co_await remove_tree(workers_ / slot);
        if (!removed)
            log::warning("a prepared worker is left to the next start",
                         {{"slot", slot}, {"error", removed.error().message}});
    }
}

std::optional<std::string> WarmStart::take(const std::string& kind) { return pool_.take(kind); }

void WarmStart::asked(const std::string& kind, BodySpec like) {
    pool_.asked(kind, system_now());
    if (likes_.size() > kLikes) likes_.clear();  // those that are still asked for come again
    likes_.insert_or_assign(kind, std::move(like));
}

Task<bool> WarmStart::move_in(std::string slot, std::string image, WorkerDirectories place) {
    const auto found = slots_.find(slot);
    bool fits = found != slots_.end() && found->second == image;
    if (fits) {
        auto cleared = co_await remove_tree(place.root);
        std::error_code error;
        if (cleared) fs::rename(workers_ / slot, place.root, error);
        fits = cleared && !error;
    }
    if (!fits) discard(slot);
    co_return fits;
}

void WarmStart::discard(const std::string& slot) { scope_.spawn("end " + slot, end(slot)); }

void WarmStart::lost(const std::string& slot) {
    if (!slots_.contains(slot)) return;
    log::warning("a prepared worker ended by itself", {{"slot", slot}});
    pool_.lost(slot, system_now());
    discard(slot);
}

void WarmStart::settle() {
    if (!begun_) return;
    auto moves = pool_.advance(system_now(), room_());
    for (const auto& slot : moves.drop) discard(slot);
    std::ranges::move(moves.make, std::back_inserter(queue_));
    if (queue_.empty() || making_) return;
    making_ = true;
    scope_.spawn("prepare workers", make_queued());
}

// One after the other: they are not urgent.
Task<void> WarmStart::make_queued() {
    while (!queue_.empty()) {
        co_await async::sleep_for(kPauseBeforeMaking);
        const auto kind = queue_.front();
        queue_.pop_front();
        const auto like = likes_.find(kind);
        if (like == likes_.end()) {
            pool_.not_made(kind, system_now());
            continue;
        }
        const auto slot = std::string(kSlotPrefix) + random_token(8);
        BodySpec spec = like->second;
        slots_[slot] = spec.image;
        auto made = co_await make(slot, std::move(spec));
        if (made) {
            pool_.made(kind, slot);
        } else {
            log::warning("no worker could be prepared", {{"slot", slot}, {"error", made.error().message}});
            pool_.not_made(kind, system_now());
            discard(slot);
        }
        settle();
    }
    making_ = false;
}

Task<Result<void>> WarmStart::make(std::string slot, BodySpec spec) {
    spec.worker_id = slot;
    spec.prepared = true;
    spec.attempt = 1;
    spec.directories = {workers_ / slot};
    spec.environment.clear();
    spec.config = {};
    auto place = co_await make_prepared_place(spec.directories, runtime_->agent_identity(slot));
    if (!place) co_return place;
    auto started = co_await runtime_->start(std::move(spec));
    if (!started) co_return std::unexpected(started.error());
    co_return Result<void>{};
}

Task<void> WarmStart::end(std::string slot) {
    for (;;) {
        auto removed = co_await runtime_->remove(slot, std::chrono::milliseconds(0));
        if (removed) removed = co_await remove_tree(workers_ / slot);
        if (removed) break;
        log::warning("prepared worker not removed yet", {{"slot", slot}, {"error", removed.error().message}});
        co_await async::sleep_for(kPauseBeforeEndingAgain);
    }
    slots_.erase(slot);
}

}  // namespace codegen::worker_manager
