// The workflow's own tables: runs, and the messages it has seen. Every change of a run commits together with what it
// causes (outbox) and with the message that caused it (inbox), or not at all.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "services/workflow/engine.hpp"
#include "shared/storage/outbox.hpp"

namespace codegen::workflow {

// A message that was handled, kept as evidence. Key: stream and entry id.
struct Seen {
    std::string stream;
    std::string entry_id;
    std::string message;
    std::string request_id;
    std::optional<std::string> task_id;
    std::optional<std::string> worker_id;  // that the message names, to find a run whose fence has moved on
};

// What an outbox row of the workflow holds. Rows of one task are delivered in order: target is "task:<id>".
inline constexpr std::string_view kStreamKind = "stream";
inline constexpr std::string_view kApiKind = "api";
inline constexpr std::string_view kPullRequestKind = "pull_request";
std::string encode(const Publish& effect);
std::string encode(const CallApi& effect);
Publish decode_publish(const std::string& body);
CallApi decode_call(const std::string& body);
std::string encode(const OpenPullRequest& effect);
OpenPullRequest decode_pull_request(const std::string& body);

// Use on one thread. Outlived by the database and the outbox.
class RunStore {
  public:
    RunStore(storage::Database& database, storage::Outbox& outbox) : database_(database), outbox_(outbox) {}
    static std::vector<storage::Migration> migrations();

    Task<Result<std::optional<Run>>> by_task(std::string task_id);
    Task<Result<std::optional<Run>>> by_request(std::string request_id);
    // By the task that the name of one of our workers holds (worker_names.hpp).
    Task<Result<std::optional<Run>>> by_worker(std::string worker_id);
    // Runs whose deadline or resend time has come, oldest first.
    Task<Result<std::vector<Run>>> due(Timestamp now, int limit);

    // A new run after its first step. False: the task has one already (nothing was written).
    Task<Result<bool>> insert(Step step, Timestamp now);
    // Compare-and-set: writes only while the row still has `fence` and `revision` and is not done. False: somebody was
    // faster or the fence is stale (nothing was written).
    Task<Result<bool>> update(std::string fence, std::int64_t revision, Step step, Timestamp now,
                              std::optional<Seen> cause);
    // Effects that change no run (the note about a stale message), with the message.
    Task<Result<void>> record(Seen seen, bool accepted, std::string task_id, std::vector<Effect> effects,
                              Timestamp now);

    // Every outstanding request is due now: Redis lost its data, or this process has just started.
    Task<Result<void>> resend_all(Timestamp now);
    // Work outside a transaction belongs to one process at a time. False: another one's lease still runs.
    Task<Result<bool>> lease(std::string task_id, std::string fence, std::string owner, Timestamp now, Timestamp until);
    // Whether a message of this stream was handled for the task.
    Task<Result<bool>> has_seen(std::string stream, std::string task_id);
    // The same message of it, whichever entry it came in.
    Task<Result<bool>> has_seen(std::string stream, std::string task_id, std::string request_id);
    // Forgets messages seen before `before`.
    Task<Result<void>> prune_seen(Timestamp before);
    // Forgets runs that ended before `before`, at most `limit`.
    Task<Result<std::int64_t>> prune_runs(Timestamp before, int limit);

  private:
    Task<Result<std::optional<Run>>> one(std::string condition, std::string value);
    void add_effects(std::vector<storage::Statement>& statements, const std::string& task_id,
                     const std::vector<Effect>& effects) const;
    storage::Database& database_;
    storage::Outbox& outbox_;
};

}  // namespace codegen::workflow
