// Conversations that outlive the body they were led in: which there are, whose they are, where the agent's home of each
// is. While a worker has one, its files are that worker's home; otherwise <state>/sessions/<session id>/home.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/timestamp.hpp"
#include "shared/contracts/vocabulary.hpp"
#include "shared/storage/database.hpp"

namespace codegen::worker_manager {

inline constexpr std::string_view kSessionsComponent = "worker_manager_sessions";

struct SessionRow {
    std::string session_id;
    std::string worker_id;  // has it; empty: nobody, its files are here
    contracts::WorkerType worker_type{};
    contracts::AgentType agent_type{};
    std::optional<std::int64_t> user_id;
    Timestamp used_at{};
};

// Use on one thread. `database` outlives it. All rows are in memory as well.
class SessionStore {
  public:
    SessionStore(storage::Database& database, std::filesystem::path directory)
        : database_(database), directory_(std::move(directory)) {}

    static std::vector<storage::Migration> migrations();  // of kSessionsComponent
    Task<Result<void>> open();                            // tables, rows, the directory (0700: no agent's uid passes)
    Task<Result<void>> save(SessionRow row);
    Task<Result<void>> forget(std::string session_id);  // its files too
    Task<Result<void>> rename(std::string from, std::string to);

    const SessionRow* find(const std::string& session_id) const;
    const SessionRow* of_worker(const std::string& worker_id) const;
    // The one this user talked in last with such an agent.
    const SessionRow* latest_of(std::int64_t user_id, contracts::WorkerType type, contracts::AgentType agent) const;
    std::vector<SessionRow> unused_since(Timestamp t) const;
    std::vector<std::string> strangers() const;  // directories without a row

    std::filesystem::path place(const std::string& session_id) const { return directory_ / session_id; }
    std::filesystem::path home(const std::string& session_id) const { return place(session_id) / "home"; }
    bool kept(const std::string& session_id) const;      // its files are here
    bool was_kept(const std::string& session_id) const;  // they were before, or are

  private:
    storage::Database& database_;
    const std::filesystem::path directory_;
    std::map<std::string, SessionRow> rows_;
};

}  // namespace codegen::worker_manager
