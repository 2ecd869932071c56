// One worker as the manager holds it in memory.
#pragma once
#include <boost/asio/cancellation_signal.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/worker-manager/gateway/gateway.hpp"
#include "services/worker-manager/store.hpp"
#include "services/worker-manager/turn.hpp"
#include "shared/logging/context.hpp"

namespace codegen::worker_manager {

// The conversation of a worker: chosen when its body is made.
struct WorkerSession {
    std::string session_id;  // empty: none
    bool named = false;      // somebody wants one that was begun before
    bool lost = false;       // and its files are gone
};

// One worker in memory. Its row is saved with every change; who changes it holds its turn, but for the state, which
// lifecycle events move at any time.
struct Worker {
    Worker(asio::any_io_executor executor, WorkerRow stored, contracts::CreateWorkerCommand parsed)
        : row(std::move(stored)), command(std::move(parsed)), turn(executor) {}

    bool deleting() const { return !row.delete_commands.empty(); }
    bool deleted() const { return row.state == contracts::WorkerState::STOPPED; }
    bool created() const {
        return row.state != WorkerState::QUEUED && row.state != WorkerState::STARTING && !deleted();
    }
    bool alive() const { return created() && !row.ended && !deleting(); }

    WorkerRow row;
    contracts::CreateWorkerCommand command;
    std::vector<contracts::CreateWorkerCommand> also_asked;  // the same worker again, while it is being made
    std::unique_ptr<Gateway> gateway;
    log::ContextPtr on_behalf = log::context();  // of whoever asked for it
    bool adopted = false;                        // made by a former manager
    bool handed_over_to_us = false;              // by a host that had no room
    bool resumed = false;                        // the next of its name goes on in its workspace
    std::optional<std::string> slot;             // the prepared body that is to become this one's, until it has
    WorkerSession session;
    bool has_login = false;      // the one of its agent on this host (logins.cpp)
    Timestamp token_expires{};   // of its token at the API
    bool token_renewal = false;  // under way
    // Of a Product Owner's worker.
    Timestamp active_at = system_now();  // the last sign of use
    bool idle_move_begun = false;
    std::map<std::string, std::string> watched;  // input stream -> last id seen: what comes after it wakes the worker
    int deaths = 0;                              // of its body since it answered anything
    std::set<std::string> answered;              // entries of its inputs, in its stead after its end
    bool left_pool = false;                      // what it took from the shared stream is settled
    Turn turn;
    asio::cancellation_signal interrupt;  // of the creation's step that is under way
};
using WorkerPtr = std::shared_ptr<Worker>;

}  // namespace codegen::worker_manager
