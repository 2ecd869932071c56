#include "services/worker-manager/images.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "services/worker-manager/manager.hpp"
#include "shared/contracts/keys.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

constexpr std::string_view kTable = R"(
CREATE TABLE worker_manager_images (
    tag TEXT PRIMARY KEY,
    last_used BIGINT NOT NULL
))";

constexpr std::string_view kSave = R"(
INSERT INTO worker_manager_images (tag, last_used) VALUES (:tag, :last_used)
ON CONFLICT (tag) DO UPDATE SET last_used = excluded.last_used)";

// Counts a value up while it lives.
struct Counted {
    explicit Counted(int& counter) : value(counter) { ++value; }
    Counted(const Counted&) = delete;
    ~Counted() { --value; }
    int& value;
};

}  // namespace

Images::Images(const asio::any_io_executor& executor, std::shared_ptr<WorkerRuntime> runtime,
               storage::Database& database, Write write, ImagePolicy policy, Clock now)
    : runtime_(std::move(runtime)),
      database_(database),
      write_(std::move(write)),
      policy_(policy),
      now_(std::move(now)),
      schedule_(policy.first, policy.period),
      pruned_(executor, asio::steady_timer::time_point::max()) {}

storage::Migration Images::migration(int version) { return {version, "images", std::string(kTable)}; }

Task<Result<Images::Prepared>> Images::prepare(ImageRequest request, std::function<void(std::string)> progress) {
    // What is being removed may be what this request would find.
    while (pruning_) co_await pruned_.async_wait(async::use_tuple);
    const Counted preparing(preparing_);
    const bool own = request.image.has_value();
    auto tag = co_await runtime_->prepare_image(std::move(request), std::move(progress));
    if (!tag) co_return std::unexpected(tag.error());
    Prepared prepared{std::move(*tag), {}};
    if (own || prepared.tag.empty()) co_return prepared;  // not ours to remove
    prepared.hold = holds_[prepared.tag].lock();
    if (!prepared.hold) holds_[prepared.tag] = prepared.hold = std::make_shared<std::string>(prepared.tag);
    std::vector<std::string> used{prepared.tag};
    auto noted = co_await note_use(std::move(used), now_());
    // Without the note the image is only rebuilt too early one day.
    if (!noted) log::warning("use of an image", {{"image", prepared.tag}, {"error", noted.error().message}});
    co_return prepared;
}

Task<Result<std::vector<ImageEntry>>> Images::list() {
    auto built = co_await runtime_->built_images();
    if (!built) co_return std::unexpected(built.error());
    auto uses = co_await last_uses();
    if (!uses) co_return std::unexpected(uses.error());
    std::vector<ImageEntry> out;
    for (const auto& image : *built) {
        const auto use = uses->find(image.tag);
        out.push_back({image.tag, image.agent, image.bytes, image.built_at,
                       use == uses->end() ? image.built_at : use->second, image.in_use || held(image.tag)});
    }
    std::ranges::sort(out, {}, &ImageEntry::tag);
    co_return out;
}

Task<Result<ImagesPruned>> Images::prune(std::chrono::microseconds unused_for) {
    if (pruning_ || preparing_ > 0)
        co_return fail(ErrorCategory::transient, "busy",
                       pruning_ ? "images are being removed already"
                                : "an image is being prepared for a worker; try again when it is there");
    struct Pruning {
        explicit Pruning(Images& owner) : images(owner) { images.pruning_ = true; }
        Pruning(const Pruning&) = delete;
        ~Pruning() {
            images.pruning_ = false;
            images.pruned_.cancel();
        }
        Images& images;
    } const pruning(*this);
    auto pruned = co_await prune_alone(unused_for);
    co_return pruned;
}

Task<Result<ImagesPruned>> Images::prune_alone(std::chrono::microseconds unused_for) {
    auto images = co_await list();
    if (!images) co_return std::unexpected(images.error());
    std::vector<ImageUse> uses;
    std::vector<std::string> in_use;
    for (const auto& image : *images) {
        uses.push_back({image.tag, image.last_used, image.in_use});
        if (image.in_use) in_use.push_back(image.tag);
    }
    // A worker that lives for long uses its image all the while.
    auto noted = co_await note_use(std::move(in_use), now_());
    if (!noted) co_return std::unexpected(noted.error());
    ImagesPruned out;
    for (const auto& tag : removable_images(std::move(uses), now_(), unused_for)) {
        auto removed = co_await runtime_->remove_image(tag);
        if (!removed) {
            out.kept.push_back(fmt::format("{}: {}", tag, removed.error().message));
            continue;
        }
        out.removed.push_back(tag);
        holds_.erase(tag);
        auto forgotten = co_await forget(tag);
        if (!forgotten) co_return std::unexpected(forgotten.error());
    }
    auto freed = co_await runtime_->clear_build_leftovers(std::chrono::duration_cast<std::chrono::milliseconds>(
        std::max<std::chrono::microseconds>(unused_for, policy_.keep)));
    if (!freed) co_return std::unexpected(freed.error());
    out.bytes = *freed;
    co_return out;
}

Task<void> Images::tend() {
    const auto now = now_();
    if (policy_.keep.count() == 0 || !schedule_.due(now) || preparing_ > 0 || pruning_) co_return;
    schedule_.done(now);
    auto pruned = co_await prune(policy_.keep);
    if (!pruned) {
        schedule_.failed(now);
        log::warning("unused images", {{"error", pruned.error().message}});
    } else if (!pruned->removed.empty() || !pruned->kept.empty() || pruned->bytes > 0) {
        log::info("unused images removed", {{"images", fmt::format("{}", fmt::join(pruned->removed, " "))},
                                            {"kept", fmt::format("{}", fmt::join(pruned->kept, "; "))},
                                            {"leftover_bytes", std::to_string(pruned->bytes)}});
    }
}

Task<Result<std::map<std::string, Timestamp>>> Images::last_uses() {
    auto rows = co_await database_.query("SELECT tag, last_used FROM worker_manager_images");
    if (!rows) co_return std::unexpected(rows.error());
    std::map<std::string, Timestamp> out;
    for (const auto& row : rows->rows) out[row.text("tag")] = from_micros(row.integer("last_used"));
    co_return out;
}

Task<Result<void>> Images::note_use(std::vector<std::string> tags, Timestamp when) {
    std::vector<storage::Statement> statements;
    std::vector<storage::OutboxItem> items;
    for (const auto& tag : tags) {
        statements.push_back({std::string(kSave), {{"tag", tag}, {"last_used", to_micros(when)}}, {}});
        const auto key = contracts::keys::image_last_used(tag);
        items.push_back(redis_item(key, {{"SET", key, format_timestamp(when)}}));
    }
    auto written = co_await write_(std::move(statements), std::move(items));
    co_return written;
}

Task<Result<void>> Images::forget(std::string tag) {
    std::vector<storage::Statement> statements{
        {"DELETE FROM worker_manager_images WHERE tag = :tag", {{"tag", tag}}, {}}};
    const auto key = contracts::keys::image_last_used(tag);
    std::vector<storage::OutboxItem> items{redis_item(key, {{"DEL", key}})};
    auto written = co_await write_(std::move(statements), std::move(items));
    co_return written;
}

bool Images::held(const std::string& tag) const {
    const auto found = holds_.find(tag);
    return found != holds_.end() && !found->second.expired();
}

}  // namespace codegen::worker_manager
