#include <fmt/format.h>

#include <algorithm>

#include "services/worker-manager/core/context.hpp"
#include "services/worker-manager/gateway/acl.hpp"
#include "services/worker-manager/manager.hpp"
#include "services/worker-manager/repository/tree.hpp"
#include "shared/async/log_context.hpp"
#include "shared/contracts/keys.hpp"
#include "shared/contracts/streams.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {

Task<Result<void>> Manager::on_delete(contracts::DeleteWorkerCommand command) {
    const auto worker = find(command.worker_id);
    if (!worker || worker->deleted()) {
        if (!command.keep_workspace.value_or(false)) {
            auto forgotten = co_await forget_workspace(command.worker_id);
            if (!forgotten) co_return forgotten;
        }
        contracts::DeleteWorkerResponse response;
        response.request_id = command.request_id;
        response.success = true;
        if (worker) response.gateway = worker->row.gateway;
        const auto type = worker ? std::optional(worker->command.config.worker_type) : std::nullopt;
        auto items = answers(type, command.callback_stream, json::write(response));
        if (!worker || !removed_idle(*worker)) co_return co_await save_and_say({}, std::move(items));
        // Now for good: what is said to it makes it no more.
        worker->watched.clear();
        worker->row.error.clear();
        items.push_back(redis_item(contracts::keys::worker_status(command.worker_id), last_traces(*worker)));
        co_return co_await save(worker, std::move(items));
    }
    const bool begun = worker->deleting();
    worker->row.delete_commands.push_back(json::write(command));
    worker->interrupt.emit(asio::cancellation_type::terminal);  // a creation that is under way ends
    auto saved = co_await save(worker);
    if (!saved) co_return saved;  // delivered again
    if (!begun) scope_.spawn("delete " + command.worker_id, async::within(log::context(), remove(worker)));
    co_return Result<void>{};
}

// Until it is done: an engine that does not answer makes it late, not undone.
Task<void> Manager::remove(WorkerPtr worker) {
    auto held = co_await worker->turn.take();
    // One that was replaced by another of its name while it waited has nothing left: all goes by that name.
    const bool replaced = find(worker->row.worker_id) != worker;
    const auto for_good = [&] {
        return std::ranges::any_of(worker->row.delete_commands, [](const std::string& text) {
            const auto command = json::parse<contracts::DeleteWorkerCommand>(text);
            return command && command->request_id != kIdleRemoval;
        });
    };
    if (for_good()) worker->row.error.clear();  // also of one that was being removed because it was idle
    while (!replaced) {
        auto gone = co_await dismantle(worker);
        if (gone) break;
        log::warning("worker not removed yet", {{"worker_id", worker->row.worker_id}, {"error", gone.error().message}});
        co_await async::sleep_for(std::chrono::seconds(2));
    }
    auto& row = worker->row;
    // A deletion that keeps nothing may have come meanwhile.
    if (!replaced && !keeps_workspace(*worker)) {
        auto forgotten = co_await forget_workspace(row.worker_id);
        if (!forgotten)
            log::error("kept workspace not removed",
                       {{"worker_id", row.worker_id}, {"error", forgotten.error().message}});
    }
    // A creation that was still waiting for its slot is answered too.
    auto items = row.state == WorkerState::QUEUED || row.state == WorkerState::STARTING
                     ? creation_answers(worker, fmt::format("worker {} was deleted before it was made", row.worker_id))
                     : std::vector<storage::OutboxItem>{};
    for (const auto& text : row.delete_commands) {
        const auto command = json::parse<contracts::DeleteWorkerCommand>(text);
        if (!command) continue;                             // our own writing
        if (command->request_id == kIdleRemoval) continue;  // nobody asked
        contracts::DeleteWorkerResponse response;
        response.request_id = command->request_id;
        response.success = true;
        response.gateway = row.gateway;
        auto some = answers(worker->command.config.worker_type, command->callback_stream, json::write(response));
        std::ranges::move(some, std::back_inserter(items));
    }
    if (replaced) {
        auto said = co_await save_and_say({}, std::move(items));
        if (!said) log::error("answers to a deletion", {{"error", said.error().message}});
        co_return;
    }
    if (row.error == kIdleRemoval && for_good()) {
        row.error.clear();
        items.push_back(redis_item(contracts::keys::worker_status(row.worker_id), last_traces(*worker)));
    }
    row.state = after(row.state, LifeEvent::deleted, false);
    row.delete_commands.clear();
    row.body_id.clear();
    items.push_back(status_item(*worker));
    auto saved = co_await save(worker, std::move(items));
    if (!saved)
        log::error("a worker was removed but not recorded",
                   {{"worker_id", row.worker_id}, {"error", saved.error().message}});
    log::info("worker removed", {{"worker_id", row.worker_id}});
    pump();
    if (removed_idle(*worker)) co_await expect_input(worker);
}

Task<Result<void>> Manager::dismantle(WorkerPtr worker) {
    auto& row = worker->row;
    auto removed = co_await runtime_->remove(row.worker_id, options_.kill_grace);
    if (!removed) co_return std::unexpected(in_context(removed.error(), runtime_->name()));
    worker->has_login = false;
    row.gateway = gateway_counts(*worker);
    if (worker->gateway) {
        co_await worker->gateway->close();
        worker->gateway.reset();
    }
    const auto answered_before = std::pair(row.answered_entry, worker->answered);
    auto answers = co_await last_answers(worker);
    if (answers.seen) {
        std::ranges::move(farewell(*worker), std::back_inserter(answers.items));
        row.token_id.clear();
    }
    auto saved = co_await save(worker, std::move(answers.items));
    if (!saved) {
        std::tie(row.answered_entry, worker->answered) = answered_before;
        co_return saved;
    }
    if (!answers.seen) co_return std::unexpected(in_context(answers.seen.error(), "what it was asked"));
    co_await keep_evidence(worker);
    auto aside = co_await put_session_aside(worker);
    if (!aside) co_return std::unexpected(in_context(aside.error(), "session"));
    Result<void> settled;
    if (keeps_workspace(*worker))
        settled = co_await put_workspace_aside(worker);
    else
        settled = co_await forget_workspace(row.worker_id);
    if (!settled) co_return settled;
    auto cleared = co_await remove_tree(directories(row.worker_id).root);
    if (!cleared) co_return cleared;
    admission_.leave(row.worker_id);
    co_return Result<void>{};
}

// Before its streams go: what it had no time to answer or to send, and what it never took up.
Task<Answers> Manager::last_answers(WorkerPtr worker) {
    if (worker->row.error == kIdleRemoval) co_return Answers{};  // it keeps its streams
    auto answers = co_await answer_pending(worker, worker->row.ended ? Republish::asked : Republish::unsent);
    // A person's answers stand in a stream that goes with the worker: in one order with its end.
    if (serves_person(*worker))
        for (auto& item : answers.items) item.target = contracts::keys::worker_status(worker->row.worker_id);
    co_return answers;
}

std::vector<redis::Arguments> Manager::last_traces(const Worker& worker) const {
    namespace streams = contracts::streams;
    namespace keys = contracts::keys;
    const auto& id = worker.row.worker_id;
    redis::Arguments gone{"DEL",
                          streams::worker_input(id),
                          streams::worker_output(id),
                          streams::worker_events(id),
                          streams::po_worker_input(id),
                          streams::po_worker_output(id),
                          keys::worker_session(id)};
    const auto user = known_user_of(worker.command);
    const auto serves_now = serving(worker.command);
    if (serves_person(worker) && user && worker.row.error != kIdleRemoval &&
        (!serves_now || serves_now.get() == &worker))
        gone.push_back(keys::session(*user));
    return {gone};
}

// Token, Redis user and keys. All but the status hash, which stays a day, and dead letters, which are for a person.
std::vector<storage::OutboxItem> Manager::farewell(const Worker& worker) const {
    namespace streams = contracts::streams;
    namespace keys = contracts::keys;
    const auto& id = worker.row.worker_id;
    std::vector<storage::OutboxItem> items;
    if (!worker.row.token_id.empty()) items.push_back({"api", "/api/tokens/" + worker.row.token_id, ""});
    std::vector<redis::Arguments> commands{{"ACL", "DELUSER", acl_user(id)}, {"DEL", keys::worker_heartbeat(id)}};
    // Whom somebody may still speak to keeps its streams and its conversation.
    if (worker.row.error != kIdleRemoval) std::ranges::move(last_traces(worker), std::back_inserter(commands));
    items.push_back(redis_item(keys::worker_status(id), commands));
    return items;
}

}  // namespace codegen::worker_manager
