#include "services/worker-manager/session_store.hpp"

#include <fmt/format.h>

#include "services/worker-manager/repository/tree.hpp"
#include "shared/json/enum.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kTable = R"(
CREATE TABLE worker_manager_sessions (
    session_id TEXT PRIMARY KEY,
    worker_id TEXT NOT NULL,
    worker_type TEXT NOT NULL,
    agent_type TEXT NOT NULL,
    user_id BIGINT,
    used_at BIGINT NOT NULL
))";

constexpr std::string_view kSave = R"(
INSERT INTO worker_manager_sessions (session_id, worker_id, worker_type, agent_type, user_id, used_at)
VALUES (:session_id, :worker_id, :worker_type, :agent_type, :user_id, :used_at)
ON CONFLICT (session_id) DO UPDATE SET worker_id = excluded.worker_id, worker_type = excluded.worker_type,
    agent_type = excluded.agent_type, user_id = excluded.user_id, used_at = excluded.used_at)";

bool stands(const fs::path& path) {  // as a directory, not as a link to one
    std::error_code ec;
    return fs::symlink_status(path, ec).type() == fs::file_type::directory;
}

}  // namespace

std::vector<storage::Migration> SessionStore::migrations() { return {{1, "sessions", std::string(kTable)}}; }

Task<Result<void>> SessionStore::open() {
    auto migrated = co_await database_.migrate(std::string(kSessionsComponent), migrations());
    if (!migrated) co_return migrated;
    auto rows = co_await database_.query("SELECT * FROM worker_manager_sessions");
    if (!rows) co_return std::unexpected(rows.error());
    for (const auto& row : rows->rows) {
        SessionRow read;
        read.session_id = row.text("session_id");
        read.worker_id = row.text("worker_id");
        read.worker_type =
            json::enum_from<contracts::WorkerType>(row.text("worker_type")).value_or(contracts::WorkerType::developer);
        read.agent_type =
            json::enum_from<contracts::AgentType>(row.text("agent_type")).value_or(contracts::AgentType::custom);
        read.user_id = row.optional_integer("user_id");
        read.used_at = from_micros(row.integer("used_at"));
        rows_[read.session_id] = std::move(read);
    }
    co_return posix::make_directory(directory_, 0700);
}

Task<Result<void>> SessionStore::save(SessionRow row) {
    storage::Parameters values{{"session_id", row.session_id},
                               {"worker_id", row.worker_id},
                               {"worker_type", std::string(json::name_of(row.worker_type))},
                               {"agent_type", std::string(json::name_of(row.agent_type))},
                               {"user_id", row.user_id},
                               {"used_at", to_micros(row.used_at)}};
    auto saved = co_await database_.query(std::string(kSave), std::move(values));
    if (!saved) co_return std::unexpected(saved.error());
    const auto id = row.session_id;
    rows_[id] = std::move(row);
    co_return Result<void>{};
}

Task<Result<void>> SessionStore::forget(std::string session_id) {
    auto cleared = co_await remove_tree(place(session_id));
    if (!cleared) co_return cleared;
    rows_.erase(session_id);
    auto gone =
        co_await database_.query("DELETE FROM worker_manager_sessions WHERE session_id = :id", {{"id", session_id}});
    if (!gone) co_return std::unexpected(gone.error());
    co_return Result<void>{};
}

// The new row first: files without a row would be taken for a stranger's.
Task<Result<void>> SessionStore::rename(std::string from, std::string to) {
    auto row = rows_.at(from);
    row.session_id = to;
    auto saved = co_await save(std::move(row));
    if (!saved) co_return saved;
    auto cleared = co_await remove_tree(place(to));
    if (!cleared) co_return cleared;
    std::error_code ec;
    fs::rename(place(from), place(to), ec);
    if (ec)
        co_return fail(ErrorCategory::transient, "io",
                       fmt::format("move {} to {}: {}", place(from).string(), place(to).string(), ec.message()));
    co_return co_await forget(std::move(from));
}

const SessionRow* SessionStore::find(const std::string& session_id) const {
    const auto found = rows_.find(session_id);
    return found == rows_.end() ? nullptr : &found->second;
}

const SessionRow* SessionStore::of_worker(const std::string& worker_id) const {
    for (const auto& [id, row] : rows_)
        if (row.worker_id == worker_id) return &row;
    return nullptr;
}

const SessionRow* SessionStore::latest_of(std::int64_t user_id, contracts::WorkerType type,
                                          contracts::AgentType agent) const {
    const SessionRow* last = nullptr;
    for (const auto& [id, row] : rows_)
        if (row.user_id == user_id && row.worker_type == type && row.agent_type == agent &&
            (!last || row.used_at > last->used_at))
            last = &row;
    return last;
}

std::vector<SessionRow> SessionStore::unused_since(Timestamp t) const {
    std::vector<SessionRow> out;
    for (const auto& [id, row] : rows_)
        if (row.used_at < t) out.push_back(row);
    return out;
}

std::vector<std::string> SessionStore::strangers() const {
    std::vector<std::string> out;
    std::error_code ec;
    for (auto it = fs::directory_iterator(directory_, ec); !ec && it != end(it); it.increment(ec))
        if (auto name = it->path().filename().string(); !rows_.contains(name)) out.push_back(std::move(name));
    return out;
}

bool SessionStore::kept(const std::string& session_id) const { return stands(home(session_id)); }

bool SessionStore::was_kept(const std::string& session_id) const { return stands(place(session_id)); }

}  // namespace codegen::worker_manager
