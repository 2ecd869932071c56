// What stays of workers that are gone: <root>/<worker>/<created, us>/ with worker.json (its last WorkerView) and its
// records, redacted. Bounded in age and in total; the oldest go first.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "services/worker-manager/people/record.hpp"
#include "services/worker-manager/people/redaction.hpp"
#include "shared/async/async.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/contracts/dto/manager.hpp"

namespace codegen::worker_manager {

struct EvidenceLimits {
    std::size_t record_bytes = 4u << 20;   // of each record of a worker
    std::int64_t total_bytes = 512 << 20;  // of all
    std::chrono::seconds age{7 * 24 * 3600};
};

// Use on one thread. Nothing is synced: a power cut may cost the latest.
class Evidence {
  public:
    Evidence(std::filesystem::path root, EvidenceLimits limits, std::shared_ptr<const Redactor> redact);

    Result<void> open();  // finds what a former manager kept
    // Copies the records of `from`. A body that was kept already stays as it is; one that left no file is not kept.
    Task<Result<void>> keep(contracts::WorkerView view, std::filesystem::path from);
    std::optional<contracts::WorkerView> newest(const std::string& worker_id) const;
    // Of that body alone, not of another one of the name: whose they are decides who may read them.
    std::optional<std::filesystem::path> records_of(const std::string& worker_id, Timestamp created_at) const;
    Task<void> prune(Timestamp now);

    std::size_t size() const { return kept_.size(); }
    std::int64_t bytes() const { return bytes_; }

  private:
    struct Kept {
        Timestamp at{};
        std::int64_t bytes = 0;
    };
    using Key = std::pair<std::string, std::int64_t>;  // worker, created (us)
    std::filesystem::path directory(const Key& key) const;
    std::optional<Key> find_newest(const std::string& worker_id) const;
    void forget(const Key& key);

    const std::filesystem::path root_;
    const EvidenceLimits limits_;
    const std::shared_ptr<const Redactor> redact_;
    std::map<Key, Kept> kept_;
    std::int64_t bytes_ = 0;
};

}  // namespace codegen::worker_manager
