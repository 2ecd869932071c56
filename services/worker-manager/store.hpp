// The manager's own table: what was promised, started and ended. One manager writes it.
#pragma once
#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/timestamp.hpp"
#include "shared/contracts/vocabulary.hpp"
#include "shared/storage/database.hpp"
#include "shared/storage/outbox.hpp"

namespace codegen::worker_manager {

inline constexpr std::string_view kComponent = "worker_manager";
inline constexpr std::string_view kOwnerComponent = "worker_manager_owner";

struct WorkerRow {
    std::string worker_id;
    int attempt = 1;
    contracts::WorkerState state = contracts::WorkerState::QUEUED;  // STOPPED: deleted, kept for a day
    std::string command;                                            // the CreateWorkerCommand, as JSON
    std::string request_id;                                         // of it
    std::string runtime;
    std::string body_id;  // empty: none yet
    std::string image;
    std::string repository;  // path of the project's repository; empty: an empty workspace
    std::string base_sha;
    std::string token_id;  // of the worker's token at the API
    bool ended = false;    // the body ended without being asked to
    std::optional<int> exit_code;
    bool out_of_memory = false;
    std::string error;
    std::string answered_entry;                // the last entry of its input stream that was answered after its end
    std::vector<std::string> delete_commands;  // deletion was asked for; DeleteWorkerCommands to answer, as JSON
    boost::json::object gateway;               // counts
    Timestamp created_at{};
    Timestamp updated_at{};
};

class Store {
  public:
    explicit Store(storage::Database& database) : database_(database) {}
    static std::vector<storage::Migration> migrations();        // of kComponent
    static std::vector<storage::Migration> owner_migrations();  // of kOwnerComponent
    Task<Result<void>> migrate();
    // A database is one installation's: paths, pids and containers in it mean nothing to another host. "configuration".
    Task<Result<void>> keep_for(std::string installation);
    Task<Result<std::vector<WorkerRow>>> load();
    static storage::Statement save(const WorkerRow& row);
    static storage::Statement forget(const std::string& worker_id);
    Task<Result<void>> forget_deleted_before(Timestamp t);
    Task<Result<void>> write(std::vector<storage::Statement> statements);

  private:
    storage::Database& database_;
};

}  // namespace codegen::worker_manager
