// Product Owner workers that nobody speaks to: paused, woken by their input, at last removed - until somebody speaks to
// them again.
#include "services/worker-manager/manager.hpp"
#include "shared/contracts/streams.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

namespace streams = contracts::streams;
constexpr std::chrono::seconds kLongestBlock{10};

}  // namespace

bool serves_person(const Worker& worker) { return worker.command.config.worker_type == contracts::WorkerType::po; }

std::vector<std::string> po_inputs(const std::string& worker_id) {
    return {streams::worker_input(worker_id), streams::po_worker_input(worker_id)};
}

bool removed_idle(const Worker& worker) {
    return worker.deleted() && serves_person(worker) && worker.row.error == kIdleRemoval;
}

Task<void> Manager::idle_clock() {
    for (;;) {
        co_await async::sleep_for(options_.sweep_interval);
        const auto workers = workers_;  // a copy: they come and go meanwhile
        for (const auto& [id, worker] : workers) {
            if (!serves_person(*worker) || !worker->alive() || worker->idle_move_begun) continue;
            const auto move = idle_move(worker->row.state, worker->active_at, system_now(), options_.idle);
            if (move == IdleMove::stay) continue;
            worker->idle_move_begun = true;  // a slow engine keeps nobody else waiting
            scope_.spawn("idle " + id, move == IdleMove::pause ? pause(worker) : remove_idle(worker));
        }
    }
}

// nullopt: Redis does not say.
Task<std::optional<Manager::Inputs>> Manager::look_at_inputs(std::string worker_id) {
    const auto names = po_inputs(worker_id);
    std::vector<redis::Arguments> commands;
    for (const auto& name : names) {
        commands.push_back({"XINFO", "STREAM", name});
        commands.push_back({"XINFO", "GROUPS", name});
    }
    auto reply = co_await redis_.transaction(std::move(commands));
    if (!reply || reply->elements.size() != 2 * names.size()) co_return std::nullopt;
    Inputs inputs;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto state =
            input_state(reply->elements[2 * i], reply->elements[2 * i + 1], streams::kWorkerWrapperGroup);
        if (!state) co_return std::nullopt;
        inputs.last_ids[names[i]] = state->last_id;
        inputs.settled = inputs.settled && state->settled;
    }
    co_return inputs;
}

Task<void> Manager::pause(WorkerPtr worker) {
    auto held = co_await worker->turn.take();
    worker->idle_move_begun = false;
    auto& row = worker->row;
    if (!worker->alive() || row.state != WorkerState::RUNNING) co_return;
    auto inputs = co_await look_at_inputs(row.worker_id);
    if (!inputs) co_return;
    if (!inputs->settled) {  // a request is in flight
        worker->active_at = system_now();
        co_return;
    }
    // The intent first: whoever finds this row wakes the body, paused or not.
    row.state = after(row.state, LifeEvent::paused, true);
    auto saved = co_await save(worker, {status_item(*worker)});
    auto paused = saved ? co_await runtime_->pause(row.worker_id) : saved;
    // What came since the look is seen too: the watch begins where the look ended.
    if (paused) {
        log::info("worker paused", {{"worker_id", row.worker_id}});
        co_return watch_inputs(worker, std::move(inputs->last_ids));
    }
    log::warning("worker not paused", {{"worker_id", row.worker_id}, {"error", paused.error().message}});
    worker->active_at = system_now();
    row.state = after(row.state, LifeEvent::resumed, true);
    saved = co_await save(worker, {status_item(*worker)});
    if (!saved) log::error("state of a worker", {{"worker_id", row.worker_id}, {"error", saved.error().message}});
}

Task<void> Manager::wake(WorkerPtr worker) {
    for (bool told = false;;) {
        {
            auto held = co_await worker->turn.take();
            auto& row = worker->row;
            if (!worker->alive() || row.state != WorkerState::PAUSED) co_return;
            auto resumed = co_await runtime_->resume(row.worker_id);
            if (resumed) {
                worker->watched.clear();
                worker->active_at = system_now();
                row.state = after(row.state, LifeEvent::resumed, true);
                auto saved = co_await save(worker, {status_item(*worker)});
                if (!saved)
                    log::error("state of a worker", {{"worker_id", row.worker_id}, {"error", saved.error().message}});
                log::info("worker woken", {{"worker_id", row.worker_id}});
                co_return;
            }
            if (!std::exchange(told, true))
                log::warning("worker not woken yet",
                             {{"worker_id", row.worker_id}, {"error", resumed.error().message}});
        }
        co_await async::sleep_for(std::chrono::seconds(1));
    }
}

// As if it had been deleted, but its session and its streams stay: who speaks to it makes it again.
Task<void> Manager::remove_idle(WorkerPtr worker) {
    {
        auto held = co_await worker->turn.take();
        worker->idle_move_begun = false;
        if (!worker->alive()) co_return;
        auto inputs = co_await look_at_inputs(worker->row.worker_id);
        if (!inputs) co_return;
        if (!inputs->settled) {
            worker->active_at = system_now();
            co_return;
        }
        contracts::DeleteWorkerCommand command;
        command.request_id = kIdleRemoval;
        command.worker_id = worker->row.worker_id;
        worker->row.delete_commands.push_back(json::write(command));
        worker->row.error = kIdleRemoval;
        auto saved = co_await save(worker);
        if (!saved) {
            worker->row.delete_commands.pop_back();
            worker->row.error.clear();
            co_return;
        }
    }
    co_await remove(worker);
}

// Of one that was removed when it was idle. What came meanwhile is unread; what comes later is seen.
Task<void> Manager::expect_input(WorkerPtr worker) {
    for (;;) {
        if (!removed_idle(*worker) || find(worker->row.worker_id) != worker) co_return;
        auto inputs = co_await look_at_inputs(worker->row.worker_id);
        if (inputs && inputs->settled) co_return watch_inputs(worker, std::move(inputs->last_ids));
        if (inputs) co_return co_await make_again(worker);
        co_await async::sleep_for(std::chrono::seconds(1));
    }
}

Task<void> Manager::make_again(WorkerPtr worker) {
    if (!removed_idle(*worker) || find(worker->row.worker_id) != worker) co_return;
    if (serving(worker->command)) {  // under another name: there is one for each person
        auto answers = co_await answer_person(worker);
        auto said = co_await save_and_say({}, std::move(answers.items));
        if (!said) log::warning("answers of a removed worker", {{"error", said.error().message}});
        co_await async::sleep_for(std::chrono::seconds(1));
        co_return co_await expect_input(worker);
    }
    log::info("somebody speaks to a worker that was removed", {{"worker_id", worker->row.worker_id}});
    auto begun = co_await begin(worker->command, worker->row.attempt + 1, false);
    if (!begun)
        log::error("worker not made again", {{"worker_id", worker->row.worker_id}, {"error", begun.error().message}});
}

// Redis does the waiting: one blocking read over the inputs of all who sleep.
void Manager::watch_inputs(const WorkerPtr& worker, std::map<std::string, std::string> last_ids) {
    worker->watched = std::move(last_ids);
    scope_.spawn("wake list", renew_watch(++watch_wanted_));
}

// The read that is under way does not know the newcomer: it is ended, until one has begun that does.
Task<void> Manager::renew_watch(std::uint64_t wanted) {
    watch_timer_.cancel();
    while (watch_reads_ < wanted) {
        if (watch_client_ != 0) {
            auto ended = co_await redis_.command({"CLIENT", "UNBLOCK", std::to_string(watch_client_)});
            if (!ended) log::warning("list of those who sleep", {{"error", ended.error().message}});
        }
        co_await async::sleep_for(std::chrono::milliseconds(5));
    }
}

Task<void> Manager::watch_sleepers() {
    redis::Client client(executor_, options_.redis, {.name = "worker-manager-wake"});
    for (;;) {
        watch_reads_ = watch_wanted_;
        redis::Arguments names;
        redis::Arguments ids;
        std::map<std::string, WorkerPtr> sleepers;
        for (const auto& [id, worker] : workers_)
            for (const auto& [stream, last] : worker->watched) {
                names.push_back(stream);
                ids.push_back(last);
                sleepers[stream] = worker;
            }
        if (names.empty()) {
            watch_timer_.expires_at(asio::steady_timer::time_point::max());
            co_await watch_timer_.async_wait(async::use_tuple);
            continue;
        }
        auto self = co_await client.command({"CLIENT", "ID"});
        redis::Arguments read{"XREAD", "BLOCK", std::to_string(std::chrono::milliseconds(kLongestBlock).count()),
                              "STREAMS"};
        std::ranges::move(names, std::back_inserter(read));
        std::ranges::move(ids, std::back_inserter(read));
        watch_client_ = self ? self->integer : 0;
        auto reply = self ? co_await client.command(std::move(read), 2 * kLongestBlock) : self;
        watch_client_ = 0;
        if (!reply) {  // the same ids again: nothing is missed
            co_await async::sleep_for(std::chrono::milliseconds(100));
            continue;
        }
        for (const auto& entry : redis::parse_xread(*reply)) {
            const auto found = sleepers.find(entry.stream);
            if (found == sleepers.end() || found->second->watched.empty()) continue;
            const auto worker = found->second;
            worker->watched.clear();
            scope_.spawn("wake " + worker->row.worker_id, worker->deleted() ? make_again(worker) : wake(worker));
        }
    }
}

}  // namespace codegen::worker_manager
