// Workers that serve a person: one for each, made again when their body is lost.
#include <fmt/format.h>

#include "services/worker-manager/core/context.hpp"
#include "services/worker-manager/manager.hpp"
#include "services/worker-manager/result_files.hpp"
#include "shared/contracts/input_entry.hpp"
#include "shared/contracts/keys.hpp"
#include "shared/contracts/streams.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

namespace streams = contracts::streams;
constexpr int kMostDeaths = 3;
constexpr std::string_view kTaker = "worker-manager";  // consumer name

}  // namespace

// Who serves a person, for whoever wants to speak to it.
storage::OutboxItem Manager::serves_item(const Worker& worker) const {
    const auto key = contracts::keys::session(*known_user_of(worker.command));
    const std::chrono::seconds ttl = contracts::keys::kSessionTtl;
    return redis_item(key, {{"SET", key, worker.row.worker_id, "EX", std::to_string(ttl.count())}});
}

// The worker that serves the same person, whatever its name.
WorkerPtr Manager::serving(const contracts::CreateWorkerCommand& command) const {
    const auto user = known_user_of(command);
    if (command.config.worker_type != contracts::WorkerType::po || !user) return nullptr;
    for (const auto& [id, worker] : workers_)
        if (serves_person(*worker) && known_user_of(worker->command) == user && !worker->deleted() &&
            !worker->deleting() && !worker->row.ended)
            return worker;
    return nullptr;
}

// Its directories, gateway, token and place stay; what it had finished is in its state directory, what it had not taken
// up is in its streams. Holds its turn. False: it cannot be made again.
Task<bool> Manager::revive(WorkerPtr worker) {
    auto& row = worker->row;
    if (++worker->deaths > kMostDeaths) co_return false;
    log::warning("the body of a worker is lost, another is made",
                 {{"worker_id", row.worker_id}, {"body", row.body_id}});
    worker->watched.clear();
    worker->active_at = system_now();
    worker->session.lost = false;  // that was said
    row.body_id.clear();
    ++row.attempt;
    row.state = after(row.state, LifeEvent::resumed, true);
    for (bool told = false; !worker->deleting();) {
        auto saved = co_await save(worker, {status_item(*worker)});
        auto started = saved ? co_await runtime_->start(body_spec(*worker, runtime_->agent_identity(row.worker_id)))
                             : Result<std::string>(std::unexpected(saved.error()));
        if (started) {
            row.body_id = std::move(*started);
            saved = co_await save(worker, {status_item(*worker)});
            if (!saved)
                log::error("a worker was made again but not recorded",
                           {{"worker_id", row.worker_id}, {"error", saved.error().message}});
            co_return true;
        }
        if (!std::exchange(told, true))
            log::warning("worker not made again", {{"worker_id", row.worker_id}, {"error", started.error().message}});
        if (started.error().category == ErrorCategory::permanent) co_return false;
        co_await async::sleep_for(std::chrono::seconds(1));
    }
    co_return true;  // its deletion waits for this
}

// What was sent to one that has ended for good: taken over from its wrapper, answered, acknowledged.
Task<Answers> Manager::answer_person(WorkerPtr worker) {
    Answers answers;
    const auto& row = worker->row;
    const std::string group(streams::kWorkerWrapperGroup);
    for (const auto& stream : po_inputs(row.worker_id)) {
        auto left =
            co_await redis_.command({"XAUTOCLAIM", stream, group, std::string(kTaker), "0", "0", "COUNT", "100"});
        auto unread = co_await redis_.command(
            {"XREADGROUP", "GROUP", group, std::string(kTaker), "COUNT", "100", "STREAMS", stream, ">"});
        // Any other error says that there is no such stream or group.
        for (const auto* reply : {&left, &unread})
            if (!*reply && reply->error().category == ErrorCategory::transient)
                answers.seen = std::unexpected(reply->error());
        std::vector<redis::StreamEntry> entries;
        if (left && left->elements.size() > 1) entries = redis::parse_entries(left->elements[1], stream);
        if (unread) std::ranges::move(redis::parse_xread(*unread), std::back_inserter(entries));
        for (const auto& entry : entries) {
            if (!worker->answered.insert(stream + " " + entry.id).second) continue;
            std::vector<redis::Arguments> commands;
            if (const auto input = json::parse<contracts::POWorkerInput>(contracts::input_text(entry.fields))) {
                contracts::POWorkerOutput output;
                const auto result = read_result(directories(row.worker_id).state(), input->request_id);
                if (result && result->po_output) {
                    output = *result->po_output;
                } else {
                    output.request_id = input->request_id;
                    output.user_id = input->user_id;
                    output.text = "I could not answer: " +
                                  (row.error.empty() ? "the worker was deleted" : "the worker has ended: " + row.error);
                }
                commands.push_back(
                    {"XADD", streams::po_worker_output(row.worker_id), "*", "data", json::write(output)});
            }
            commands.push_back({"XACK", stream, group, entry.id});
            answers.items.push_back(redis_item(stream, commands));
        }
    }
    co_return answers;
}

}  // namespace codegen::worker_manager
