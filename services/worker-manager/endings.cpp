#include <fmt/format.h>

#include <set>

#include "services/worker-manager/core/context.hpp"
#include "services/worker-manager/gateway/acl.hpp"
#include "services/worker-manager/manager.hpp"
#include "services/worker-manager/result_files.hpp"
#include "shared/base/trace.hpp"
#include "shared/contracts/input_entry.hpp"
#include "shared/contracts/streams.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

namespace streams = contracts::streams;

struct Asked {
    std::string request_id;
    std::string task_id;
};

// Best effort: an entry that is no request has nobody waiting for an answer.
std::optional<Asked> request_of(const redis::StreamEntry& entry) {
    auto input = json::parse<contracts::DeveloperWorkerInput>(contracts::input_text(entry.fields));
    if (!input) return {};
    return Asked{input->request_id, input->task_id};
}

Ending ending_of(const Worker& worker, std::int64_t memory_limit) {
    const auto& row = worker.row;
    if (row.ended) return judge_ending(row.exit_code, row.out_of_memory, memory_limit);
    if (worker.deleting())
        return {contracts::FailureReason::cancelled, "the worker was deleted before it had a result"};
    return {contracts::FailureReason::infrastructure, "the worker was not made: " + row.error};
}

contracts::DeveloperWorkerOutput crash(const Worker& worker, const Asked& asked, std::int64_t memory_limit) {
    const auto ending = ending_of(worker, memory_limit);
    contracts::DeveloperWorkerOutput output;
    output.request_id = asked.request_id;
    output.task_id = asked.task_id;
    output.status = contracts::ResultStatus::error;
    output.error = ending.error;
    output.reason = ending.reason;
    output.worker_id = worker.row.worker_id;
    return output;
}

storage::OutboxItem output_item(const contracts::DeveloperWorkerOutput& output) {
    return stream_item(std::string(streams::kDeveloperOutput), json::write(output));
}

// Takes an entry out of its group and adds something to a stream: both or neither, so it can be asked for again.
// KEYS: the entry's stream, the other. ARGV: group, id, fields to add.
constexpr std::string_view kTurnInto = R"(
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3))
return 1)";

// What is pending with a consumer would go with it. KEYS: stream. ARGV: group, consumer.
constexpr std::string_view kForgetConsumer = R"(
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]))";

redis::Arguments turn_into(const redis::StreamEntry& entry, const std::string& stream,
                           const std::vector<std::pair<std::string, std::string>>& fields) {
    redis::Arguments script{
        "EVAL",  std::string(kTurnInto), "2", entry.stream, stream, std::string(streams::kDeveloperWorkersGroup),
        entry.id};
    for (const auto& [name, value] : fields) script.insert(script.end(), {name, value});
    return script;
}

}  // namespace

Task<void> Manager::on_body_end(BodyEnd ended) {
    const auto worker = find(ended.worker_id);
    if (!worker) warm_.lost(ended.worker_id);
    if (!worker || worker->deleted() || worker->deleting() || worker->row.ended) co_return;
    // On its own: what is being done to this worker must not keep the ends of others waiting.
    scope_.spawn("end of " + worker->row.worker_id, end(worker, std::move(ended)));
    co_return;
}

Task<void> Manager::end(WorkerPtr worker, BodyEnd ended) {
    auto held = co_await worker->turn.take();
    auto& row = worker->row;
    if (row.ended || !worker->created() || row.body_id != ended.body_id) co_return;
    if (serves_person(*worker) && !worker->deleting() && co_await revive(worker)) co_return;
    row.ended = true;
    worker->has_login = false;
    row.exit_code = ended.exit_code;
    row.out_of_memory = ended.out_of_memory;
    const auto state = directories(row.worker_id).state();
    // By itself, after its task: the wrapper's word for it may still be on its way.
    const bool done = ended.exit_code == 0 && !ended.out_of_memory && has_result(state);
    row.state = after(row.state, done ? LifeEvent::wrapper_stopped : LifeEvent::body_ended, false);
    const auto limits = limits_of(worker->command.config).value_or(options_.limits);
    row.error = done ? "" : judge_ending(row.exit_code, row.out_of_memory, limits.memory_bytes).error;
    row.gateway = gateway_counts(*worker);
    if (worker->gateway) co_await worker->gateway->close();
    worker->gateway.reset();
    // Whoever waits for an answer hears it first; the row says at the same instant that it was said.
    auto answers = co_await answer_pending(worker, done ? Republish::unsent : Republish::all);
    // What is pending is found by the sweep when Redis is back.
    if (!answers.seen)
        log::warning("input of an ended worker",
                     {{"worker_id", row.worker_id}, {"error", answers.seen.error().message}});
    answers.items.push_back(status_item(*worker));
    auto saved = co_await save(worker, std::move(answers.items));
    if (!saved)
        log::error("the end of a worker was not recorded",
                   {{"worker_id", row.worker_id}, {"error", saved.error().message}});
    if (done)
        log::info("worker ended after its task", {{"worker_id", row.worker_id}});
    else
        log::warning("worker ended", {{"worker_id", row.worker_id}, {"error", row.error}});
    admission_.leave(row.worker_id);
    pump();
}

Task<Answers> Manager::answer_pending(WorkerPtr worker, Republish republish) {
    if (serves_person(*worker)) co_return co_await answer_person(worker);
    Answers answers;
    auto& row = worker->row;
    const auto state = directories(row.worker_id).state();
    const auto limits = limits_of(worker->command.config).value_or(options_.limits);
    auto left = co_await leave_pool(worker);
    if (!left) answers.seen = std::unexpected(std::move(left.error()));
    auto said = left.value_or(std::set<std::string>{});
    const auto answer = [&](const Asked& asked) {
        if (republish == Republish::unsent && was_published(state, asked.request_id)) return;
        if (!said.insert(asked.request_id).second) return;
        const auto result = read_result(state, asked.request_id);
        answers.items.push_back(output_item(result ? result->output : crash(*worker, asked, limits.memory_bytes)));
    };
    const auto stream = streams::worker_input(row.worker_id);
    const auto from = row.answered_entry.empty() ? std::string("-") : "(" + row.answered_entry;
    auto reply = co_await redis_.command({"XRANGE", stream, from, "+"}, std::chrono::milliseconds(1000));
    if (reply) {
        for (const auto& entry : redis::parse_entries(*reply, stream)) {
            if (const auto asked = request_of(entry)) answer(*asked);
            row.answered_entry = entry.id;
        }
    } else {
        answers.seen = std::unexpected(std::move(reply.error()));
    }
    // Redis may have lost the entry, and with it the result that answered it.
    if (republish != Republish::asked)
        if (auto last = last_result(state); last && said.insert(last->output.request_id).second)
            if (republish == Republish::all || !was_published(state, last->output.request_id))
                answers.items.push_back(output_item(last->output));
    co_return answers;
}

// What it took from the shared stream and did not answer. What it had begun is answered in its stead: an agent may have
// done half of it. The rest goes to another one. Only after its gateway was closed. The requests that were answered.
Task<Result<std::set<std::string>>> Manager::leave_pool(WorkerPtr worker) {
    std::set<std::string> said;
    if (!reads_pool(worker->command) || worker->left_pool) co_return said;
    const auto& id = worker->row.worker_id;
    const auto state = directories(id).state();
    const auto limits = limits_of(worker->command.config).value_or(options_.limits);
    const std::string stream(streams::kDeveloperInput);
    const std::string group(streams::kDeveloperWorkersGroup);
    const auto is_away = [](const auto& reply) {  // any other error: no such user, stream or group
        return !reply && reply.error().category == ErrorCategory::transient;
    };
    // Redis would still give something to a read of its that waits there.
    auto reply = co_await redis_.command({"CLIENT", "KILL", "USER", acl_user(id)});
    if (is_away(reply)) co_return std::unexpected(reply.error());
    reply = co_await redis_.command({"XPENDING", stream, group, "-", "+", "1000", id});
    if (is_away(reply)) co_return std::unexpected(reply.error());
    const auto pending = reply ? std::move(reply->elements) : std::vector<redis::Reply>{};
    for (const auto& each : pending) {
        const auto& entry_id = each.elements.at(0).text;
        reply = co_await redis_.command({"XRANGE", stream, entry_id, entry_id});
        if (!reply) co_return std::unexpected(reply.error());
        const auto entries = redis::parse_entries(*reply, stream);
        redis::Arguments command{"XACK", stream, group, entry_id};
        const auto asked = entries.empty() ? std::nullopt : request_of(entries.front());
        const bool begun = asked && was_begun(state, asked->request_id);
        if (begun && !was_published(state, asked->request_id)) {
            const auto result = read_result(state, asked->request_id);
            const auto output = result ? result->output : crash(*worker, *asked, limits.memory_bytes);
            std::vector<std::pair<std::string, std::string>> fields{{"data", json::write(output)}};
            if (const auto* trace = entries.front().field("traceparent"))
                if (auto next = next_traceparent(*trace); !next.empty()) fields.emplace_back("traceparent", next);
            command = turn_into(entries.front(), std::string(streams::kDeveloperOutput), fields);
            said.insert(asked->request_id);
        } else if (!begun && !entries.empty()) {
            command = turn_into(entries.front(), stream, entries.front().fields);
        }
        reply = co_await redis_.command(std::move(command));
        if (!reply) co_return std::unexpected(reply.error());
    }
    reply = co_await redis_.command({"EVAL", std::string(kForgetConsumer), "1", stream, group, id});
    if (is_away(reply)) co_return std::unexpected(reply.error());
    worker->left_pool = true;
    co_return said;
}

}  // namespace codegen::worker_manager
