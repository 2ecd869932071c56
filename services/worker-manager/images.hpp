// The images that workers are made from: when each was last used, what is unused for long and goes. The runtime makes
// and removes them; the times stand in the database and are mirrored in Redis (worker:image:last_used:<tag>).
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/worker-manager/core/image_retention.hpp"
#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/storage/database.hpp"
#include "shared/storage/outbox.hpp"

namespace codegen::worker_manager {

struct ImagePolicy {
    std::chrono::hours keep{24 * 7};                             // IMAGE_KEEP_DAYS; 0: never removed by the clock
    std::chrono::milliseconds first = std::chrono::minutes(10);  // after the start
    std::chrono::milliseconds period = std::chrono::hours(24);
};

// One image, for people.
struct ImageEntry {
    std::string tag;
    std::string agent;  // its folder: "claude-2.1.197"; empty: none in it
    std::int64_t bytes = 0;
    Timestamp built_at{};
    Timestamp last_used{};
    bool in_use = false;  // a container of it exists, or a worker of it is being made
};

struct ImagesPruned {
    std::vector<std::string> removed;
    std::int64_t bytes = 0;         // that the engine gave back for what builds left behind; images share layers
    std::vector<std::string> kept;  // why something that was to go is still there
};

// Use on one thread.
class Images {
  public:
    using Write = std::function<Task<Result<void>>(std::vector<storage::Statement>, std::vector<storage::OutboxItem>)>;
    // `write` commits statements and outbox items in one transaction.
    Images(const asio::any_io_executor& executor, std::shared_ptr<WorkerRuntime> runtime, storage::Database& database,
           Write write, ImagePolicy policy, Clock now);

    static storage::Migration migration(int version);

    // While `hold` lives the image is not removed.
    struct Prepared {
        std::string tag;
        std::shared_ptr<void> hold;
    };
    // WorkerRuntime::prepare_image(), noted as a use.
    Task<Result<Prepared>> prepare(ImageRequest request, std::function<void(std::string)> progress);

    Task<Result<std::vector<ImageEntry>>> list();  // by tag
    // Removes what was not used for `unused_for` (0: everything that is not in use now) and what builds left behind.
    // Error "busy" while an image is prepared.
    Task<Result<ImagesPruned>> prune(std::chrono::microseconds unused_for);
    // prune() of the policy when it is due; to be called often.
    Task<void> tend();

  private:
    Task<Result<std::map<std::string, Timestamp>>> last_uses();
    Task<Result<void>> note_use(std::vector<std::string> tags, Timestamp when);
    Task<Result<void>> forget(std::string tag);
    Task<Result<ImagesPruned>> prune_alone(std::chrono::microseconds unused_for);
    bool held(const std::string& tag) const;

    // Constant after construction.
    const std::shared_ptr<WorkerRuntime> runtime_;
    storage::Database& database_;
    const Write write_;
    const ImagePolicy policy_;
    const Clock now_;

    CleanupSchedule schedule_;
    std::map<std::string, std::weak_ptr<void>> holds_;
    int preparing_ = 0;
    bool pruning_ = false;
    asio::steady_timer pruned_;  // cancelled when pruning ended
};

}  // namespace codegen::worker_manager
