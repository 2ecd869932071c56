// Prepared workers (setting WARM_POOL): made in the background under names of their own, handed to creations, ended
// when somebody needs their room. What a former manager left is ended by its successor.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "services/worker-manager/core/warm_pool.hpp"
#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/async/scope.hpp"

namespace codegen::worker_manager {

// Use on one thread.
class WarmStart {
  public:
    // `each`: WARM_POOL; nothing happens when it is 0 or the runtime prepares none. `room`: how many may stand now.
    WarmStart(asio::any_io_executor executor, std::shared_ptr<WorkerRuntime> runtime, std::size_t each,
              std::filesystem::path workers, std::function<std::size_t()> room);

    static bool is_slot(const std::string& name);

    // From now on workers are prepared. Directories of a former manager's go first; its bodies must be gone.
    Task<void> begin();
    Task<void> stop();  // ends every one that was not claimed

    // At admission, so that who gets a slot of admission and who gives one back is one step: the slot of a prepared
    // worker, which is then the caller's, to be moved in and claimed() or discard()ed.
    std::optional<std::string> take(const std::string& kind);
    // A worker of `kind` is made, `like` this one: others are prepared so.
    void asked(const std::string& kind, BodySpec like);
    // The slot's directories become `place`. False: it does not fit any more (another image) and is discarded.
    Task<bool> move_in(std::string slot, std::string image, WorkerDirectories place);
    void claimed(const std::string& slot) { slots_.erase(slot); }
    void discard(const std::string& slot);
    void lost(const std::string& slot);  // its body ended

    void settle();  // after anything that changes the room; and now and then

  private:
    Task<void> make_queued();
    Task<Result<void>> make(std::string slot, BodySpec spec);
    Task<void> end(std::string slot);

    const asio::any_io_executor executor_;
    const std::shared_ptr<WorkerRuntime> runtime_;
    const std::filesystem::path workers_;
    const std::function<std::size_t()> room_;

    WarmPool pool_;
    bool begun_ = false;
    bool making_ = false;
    std::map<std::string, BodySpec> likes_;     // kind -> what it is made of
    std::map<std::string, std::string> slots_;  // ours to end -> image
    std::deque<std::string> queue_;             // kinds
    async::Scope scope_;
};

}  // namespace codegen::worker_manager
