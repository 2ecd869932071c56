#include "services/worker-manager/people/evidence.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>
#include <vector>

#include "shared/base/ids.hpp"
#include "shared/json/json.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;
constexpr const char* kView = "worker.json";
constexpr std::size_t kLargestView = 1u << 20;
constexpr Record kRecords[] = {Record::log, Record::transcript, Record::output};

Result<void> write_new(const fs::path& path, std::string_view text) {
    const posix::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return posix::errno_error("open " + path.string(), errno);
    while (!text.empty()) {
        const auto n = ::write(file.get(), text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return posix::errno_error("write " + path.string(), errno);
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

std::int64_t bytes_in(const fs::path& directory) {
    std::int64_t sum = 0;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(directory, ec)) {
        struct stat st{};
        if (::lstat(entry.path().c_str(), &st) == 0) sum += st.st_size;
    }
    return sum;
}

// Others get their turn between two steps of a long work.
Task<void> breathe() {
    const auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);
}

}  // namespace

Evidence::Evidence(fs::path root, EvidenceLimits limits, std::shared_ptr<const Redactor> redact)
    : root_(std::move(root)), limits_(limits), redact_(std::move(redact)) {}

fs::path Evidence::directory(const Key& key) const { return root_ / key.first / std::to_string(key.second); }

Result<void> Evidence::open() {
    if (auto made = posix::make_directory(root_, 0700); !made) return made;
    std::error_code ec;
    for (const auto& worker : fs::directory_iterator(root_, ec)) {
        const auto id = worker.path().filename().string();
        if (!is_worker_name(id)) continue;
        for (const auto& entry : fs::directory_iterator(worker.path(), ec)) {
            const auto name = entry.path().filename().string();
            std::int64_t created = 0;
            const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), created);
            if (error != std::errc{} || end != name.data() + name.size()) continue;
            struct stat st{};
            // worker.json is written last: without it a former manager did not finish.
            if (::lstat((entry.path() / kView).c_str(), &st) != 0) {
                fs::remove_all(entry.path(), ec);
                continue;
            }
            const Kept kept{from_micros(std::int64_t{st.st_mtim.tv_sec} * 1000000 + st.st_mtim.tv_nsec / 1000),
                            bytes_in(entry.path())};
            kept_[{id, created}] = kept;
            bytes_ += kept.bytes;
        }
    }
    return {};
}

Task<Result<void>> Evidence::keep(contracts::WorkerView view, fs::path from) {
    const Key key{view.worker_id, to_micros(view.created_at)};
    std::error_code ec;
    if (kept_.contains(key) || !fs::is_directory(from, ec)) co_return Result<void>{};
    const auto place = directory(key);
    bool made = false;
    for (const auto record : kRecords) {
        auto text = read_record(from, record, limits_.record_bytes);
        if (text.empty()) continue;
        co_await breathe();
        text = (*redact_)(text);
        co_await breathe();
        if (!made) {
            for (const auto& path : {place.parent_path(), place})
                if (auto there = posix::make_directory(path, 0700); !there) co_return there;
            made = true;
        }
        auto written = write_new(place / file_name(record), text);
        if (!written) co_return written;
        co_await breathe();
    }
    if (!made) co_return Result<void>{};
    const auto temporary = place / "worker.json.new";
    if (auto written = write_new(temporary, (*redact_)(json::write(view))); !written) co_return written;
    fs::rename(temporary, place / kView, ec);
    if (ec) co_return fail(ErrorCategory::permanent, "io", fmt::format("{}: {}", place.string(), ec.message()));
    const Kept kept{system_now(), bytes_in(place)};
    kept_[key] = kept;
    bytes_ += kept.bytes;
    co_return Result<void>{};
}

std::optional<Evidence::Key> Evidence::find_newest(const std::string& worker_id) const {
    auto after = kept_.upper_bound({worker_id, INT64_MAX});
    if (after == kept_.begin()) return {};
    --after;
    return after->first.first == worker_id ? std::optional(after->first) : std::nullopt;
}

std::optional<contracts::WorkerView> Evidence::newest(const std::string& worker_id) const {
    const auto key = find_newest(worker_id);
    if (!key) return {};
    auto text = posix::read_file(directory(*key) / kView, kLargestView);
    if (!text) return {};
    auto view = json::parse<contracts::WorkerView>(*text);
    if (!view) return {};
    return std::move(*view);
}

std::optional<fs::path> Evidence::records_of(const std::string& worker_id, Timestamp created_at) const {
    const Key key{worker_id, to_micros(created_at)};
    return kept_.contains(key) ? std::optional(directory(key)) : std::nullopt;
}

void Evidence::forget(const Key& key) {
    std::error_code ec;
    fs::remove_all(directory(key), ec);
    fs::remove(root_ / key.first, ec);  // when it was the last one
    bytes_ -= kept_.at(key).bytes;
    kept_.erase(key);
}

Task<void> Evidence::prune(Timestamp now) {
    std::vector<std::pair<Timestamp, Key>> by_age;
    for (const auto& [key, kept] : kept_) by_age.emplace_back(kept.at, key);
    std::ranges::sort(by_age);
    for (const auto& [at, key] : by_age) {
        if (at >= now - limits_.age && bytes_ <= limits_.total_bytes) co_return;
        forget(key);
        co_await breathe();
    }
}

}  // namespace codegen::worker_manager
