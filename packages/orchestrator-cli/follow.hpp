// What happens to a task, live: its progress and its worker's events, merged as they come.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "packages/orchestrator-cli/output.hpp"
#include "packages/orchestrator-cli/session.hpp"

namespace codegen::cli {

// One line for people; empty: nothing worth a line.
std::string progress_line(const contracts::ProgressEvent& event, bool colour);
std::string event_line(const contracts::AgentEvent& event, bool colour);

// Reads the streams of one task from their beginning. Readable lines, or NDJSON: {"stream", "id", "message"}.
// A Redis that is away is waited for; what it lost is not shown again.
class Follower {
  public:
    Follower(std::shared_ptr<Session> session, OutputMode mode, std::string task_id);

    // The worker's name once it is known; until then the one that the workflow gives the first worker of a task.
    void set_worker(const std::string& worker_id);
    // Prints what is there, waiting at most `wait` for something. Zero: only what is there now.
    Task<void> show(std::chrono::milliseconds wait);

  private:
    Task<Result<std::size_t>> read(std::chrono::milliseconds wait);
    void print(const redis::StreamEntry& entry) const;
    std::shared_ptr<Session> session_;
    OutputMode mode_;
    std::string events_stream_;
    std::map<std::string, std::string> positions_;  // stream -> last id read
    bool reconnect_ = false;
    bool told_ = false;
};

}  // namespace codegen::cli
