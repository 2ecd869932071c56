#include "services/worker-manager/manager.hpp"

#include <fmt/format.h>

#include "services/worker-manager/core/context.hpp"
#include "services/worker-manager/core/names.hpp"
#include "shared/async/log_context.hpp"
#include "shared/contracts/keys.hpp"
#include "shared/contracts/streams.hpp"
#include "shared/json/enum.hpp"
#include "shared/json/json.hpp"
#include "shared/logging/context.hpp"
#include "shared/logging/log.hpp"
#include "shared/metrics/metrics.hpp"

namespace codegen::worker_manager {
namespace {

namespace streams = contracts::streams;
constexpr std::string_view kRedis = "redis";
constexpr std::string_view kApi = "api";

}  // namespace

storage::OutboxItem redis_item(std::string target, const std::vector<redis::Arguments>& commands) {
    boost::json::array list;
    for (const auto& command : commands) list.push_back(boost::json::array(command.begin(), command.end()));
    return {std::string(kRedis), std::move(target), boost::json::serialize(list)};
}

storage::OutboxItem stream_item(const std::string& stream, const std::string& json) {
    return redis_item(stream, {{"XADD", stream, "*", "data", json}});
}

Manager::Manager(asio::any_io_executor executor, Options options, storage::Database& database,
                 std::shared_ptr<WorkerRuntime> runtime)
    : executor_(executor),
      options_(std::move(options)),
      runtime_(std::move(runtime)),
      store_(database),
      sessions_(database, options_.state_directory / "sessions"),
      redis_(executor, options_.redis, {.name = "worker-manager"}),
      outbox_(database, std::string(kComponent), [this](storage::OutboxItem item) { return deliver(std::move(item)); }),
      images_(
          executor, runtime_, database,
          [this](std::vector<storage::Statement> statements, std::vector<storage::OutboxItem> items) {
              return save_and_say(std::move(statements), std::move(items));
          },
          options_.images, options_.now),
      remotes_(options_.github, options_.state_directory / "remotes"),
      admission_(options_.max_workers, options_.creation_timeout),
      warm_(executor, runtime_, options_.warm_pool, options_.state_directory / "workers",
            [this] { return room_for_prepared(); }),
      admission_timer_(executor, asio::steady_timer::time_point::max()),
      watch_timer_(executor, asio::steady_timer::time_point::max()),
      scope_(executor) {}

Task<Result<void>> Manager::consume() {
    if (stopping_) co_return Result<void>{};  // what is made now nobody would stop
    const auto add = [this](std::string stream, std::string_view group, redis::DeliveryHandler handler) {
        redis::ConsumerOptions options;
        options.stream = std::move(stream);
        options.group = group;
        options.consumer = options_.instance;
        options.service = "worker-manager";
        consumers_.push_back(
            std::make_unique<redis::Consumer>(executor_, options_.redis, std::move(options), std::move(handler)));
    };
    for (const bool own : {false, true}) {
        add(own ? streams::worker_commands_of(options_.host) : std::string(streams::kWorkerCommands),
            streams::kWorkerManagerGroup,
            [this, own](redis::Delivery delivery) { return on_command(std::move(delivery), own); });
        add(own ? streams::worker_lifecycle_of(options_.host) : std::string(streams::kWorkerLifecycle),
            streams::kWorkerManagerOwnerGroup,
            redis::typed<contracts::WorkerLifecycleEvent>(
                [this, own](contracts::WorkerLifecycleEvent event, redis::Delivery delivery) {
                    return on_lifecycle(std::move(event), std::move(delivery), own);
                }));
    }
    Result<void> outcome;
    auto shared = async::both(consume_until_one_ends(consumers_[0].get(), &outcome),
                              consume_until_one_ends(consumers_[1].get(), &outcome));
    auto own = async::both(consume_until_one_ends(consumers_[2].get(), &outcome),
                           consume_until_one_ends(consumers_[3].get(), &outcome));
    co_await async::both(std::move(shared), std::move(own));
    co_return outcome;
}

// The one that ends - a fatal error - ends the others.
Task<void> Manager::consume_until_one_ends(redis::Consumer* consumer, Result<void>* result) {
    auto ended = co_await consumer->run();
    if (!ended && *result) *result = std::move(ended);
    for (const auto& each : consumers_) each->stop();
}

Task<Result<void>> Manager::on_command(redis::Delivery delivery, bool own_stream) {
    auto command = delivery.parse<contracts::WorkerCommand>();
    if (!command) co_return std::unexpected(invalid(command.error()));
    auto elsewhere = co_await passed_on(*command, delivery.data);
    if (!elsewhere) co_return std::unexpected(elsewhere.error());
    if (*elsewhere) co_return Result<void>{};
    if (auto* create = std::get_if<contracts::CreateWorkerCommand>(&*command))
        co_return co_await on_create(std::move(*create), own_stream);
    if (auto* remove = std::get_if<contracts::DeleteWorkerCommand>(&*command))
        co_return co_await on_delete(std::move(*remove));
    if (auto* collect = std::get_if<contracts::CollectWorkerCommand>(&*command))
        co_return co_await on_collect(std::move(*collect));
    co_return co_await on_status(std::get<contracts::StatusWorkerCommand>(std::move(*command)));
}

Task<Result<void>> Manager::on_status(contracts::StatusWorkerCommand command) {
    contracts::StatusWorkerResponse response;
    response.request_id = command.request_id;
    const auto worker = find(command.worker_id);
    response.success = worker != nullptr;
    if (worker)
        response.status = answered_status(worker->row.state);
    else
        response.error = fmt::format("there is no worker \"{}\"", command.worker_id);
    const auto type = worker ? std::optional(worker->command.config.worker_type) : std::nullopt;
    co_return co_await save_and_say({}, answers(type, command.callback_stream, json::write(response)));
}

Task<Result<void>> Manager::on_lifecycle(contracts::WorkerLifecycleEvent event, redis::Delivery delivery,
                                         bool own_stream) {
    const auto worker = find(event.worker_id);
    if (!worker || worker->deleted()) {
        if (own_stream) co_return Result<void>{};  // passed on to us: the last words of a worker that is gone
        co_return co_await pass_on_event(event.worker_id, delivery.data);
    }
    const auto kind = [&] {
        switch (event.event) {
            case contracts::LifecycleKind::started:
                return LifeEvent::wrapper_started;
            case contracts::LifecycleKind::completed:
                return LifeEvent::wrapper_completed;
            case contracts::LifecycleKind::failed:
                return LifeEvent::wrapper_failed;
            case contracts::LifecycleKind::stopped:
                break;
        }
        return LifeEvent::wrapper_stopped;
    }();
    worker->row.state = after(worker->row.state, kind, !worker->row.ended);
    worker->active_at = system_now();
    if (kind == LifeEvent::wrapper_completed || kind == LifeEvent::wrapper_failed) worker->deaths = 0;
    std::vector<storage::OutboxItem> items{status_item(*worker)};
    if (serves_person(*worker) && known_user_of(worker->command)) items.push_back(serves_item(*worker));
    co_return co_await save(worker, std::move(items));
}

Task<Result<void>> Manager::deliver(storage::OutboxItem item) {
    if (item.kind == kApi) {
        auto done = co_await api_->call("DELETE", item.target);
        if (!done && done.error().code != "not_found") co_return std::unexpected(done.error());
        co_return Result<void>{};
    }
    const auto commands = json::parse_own(item.body);  // our own writing
    for (const auto& command : commands.as_array()) {
        redis::Arguments arguments;
        for (const auto& argument : command.as_array()) arguments.emplace_back(argument.as_string());
        if (auto trace = log::traceparent_to_send(); arguments.front() == "XADD" && !trace.empty())
            arguments.insert(arguments.end(), {"traceparent", std::move(trace)});
        auto reply = co_await redis_.command(std::move(arguments));
        if (!reply) co_return std::unexpected(reply.error());
    }
    co_return Result<void>{};
}

// By itself: a host that is busy with something long is not away.
Task<void> Manager::stay_known() {
    for (;;) {
        auto announced = co_await announce();
        if (!announced) log::debug("this host is not announced", {{"error", announced.error().message}});
        co_await hand_over_waiting();
        co_await async::sleep_for(options_.sweep_interval);
    }
}

Task<void> Manager::sweep() {
    constexpr int kSweepsPerRefresh = 10;
    for (int round = 1;; ++round) {
        co_await async::sleep_for(options_.sweep_interval);
        co_await answer_ended_workers();
        count_workers();
        scope_.spawn("images", images_.tend());
        warm_.settle();
        if (round % kSweepsPerRefresh != 0) continue;
        co_await refresh_status_hashes();
        co_await keep_whereabouts();
        co_await forget_old_sessions();
        renew_old_tokens();
        scope_.spawn("creation queue", mirror_queue());
        const auto yesterday = system_now() - contracts::keys::kDeletedStatusTtl;
        std::vector<storage::OutboxItem> traces;
        std::erase_if(workers_, [&](const auto& w) {
            const auto& [id, worker] = w;
            if (!worker->deleted() || worker->row.updated_at >= yesterday) return false;
            worker->watched.clear();
            if (removed_idle(*worker)) traces.push_back(redis_item(id, last_traces(*worker)));
            return true;
        });
        auto said = co_await save_and_say({}, std::move(traces));
        if (!said) log::warning("keys of old workers", {{"error", said.error().message}});
        auto forgotten = co_await store_.forget_deleted_before(yesterday);
        if (!forgotten) log::warning("old rows of workers", {{"error", forgotten.error().message}});
        co_await evidence_->prune(system_now());
    }
}

void Manager::count_workers() const {
    std::map<std::string, int> states;
    for (const auto& [id, worker] : workers_)
        if (!worker->deleted()) ++states[std::string(json::name_of(worker->row.state))];
    metrics::clear("codegen_workers");
    for (const auto& [state, count] : states) metrics::set("codegen_workers", {{"state", state}}, count);
}

// What is sent to a worker that has ended: nobody else would ever answer.
Task<void> Manager::answer_ended_workers() {
    const auto workers = workers_;  // a copy: they come and go meanwhile
    for (const auto& [id, worker] : workers) {
        if (!worker->row.ended || worker->deleting() || worker->deleted()) continue;
        auto held = co_await worker->turn.take();
        if (worker->deleting() || worker->deleted()) continue;
        auto answers = co_await answer_pending(worker, Republish::asked);
        if (answers.items.empty()) continue;
        auto saved = co_await save(worker, std::move(answers.items));
        if (!saved) log::error("answers for an ended worker", {{"worker_id", id}, {"error", saved.error().message}});
    }
}

Task<void> Manager::refresh_status_hashes() {
    const auto workers = workers_;
    for (const auto& [id, worker] : workers) {
        if (worker->deleted()) continue;
        auto done = co_await deliver(status_item(*worker));
        if (!done) co_return;  // Redis is away: next time
    }
}

Task<Result<void>> Manager::save(WorkerPtr worker, std::vector<storage::OutboxItem> items) {
    worker->row.updated_at = system_now();
    worker->row.gateway = gateway_counts(*worker);
    auto saved = save_and_say({Store::save(worker->row)}, std::move(items));
    if (log::context()) co_return co_await std::move(saved);
    co_return co_await async::within(worker->on_behalf, std::move(saved));  // moved by a timer, or by its body
}

Task<Result<void>> Manager::save_and_say(std::vector<storage::Statement> statements,
                                         std::vector<storage::OutboxItem> items) {
    for (auto& item : items) statements.push_back(outbox_.insert(std::move(item)));
    if (statements.empty()) co_return Result<void>{};
    auto written = co_await store_.write(std::move(statements));
    outbox_.wake();
    co_return written;
}

std::vector<storage::OutboxItem> Manager::answers(std::optional<contracts::WorkerType> type,
                                                  const std::optional<std::string>& callback,
                                                  const std::string& json) const {
    std::vector<storage::OutboxItem> items;
    // Of a worker nobody knows, nobody knows the type either.
    if (type != contracts::WorkerType::po)
        items.push_back(stream_item(std::string(streams::kDeveloperResponses), json));
    if (type != contracts::WorkerType::developer)
        items.push_back(stream_item(std::string(streams::kPOResponses), json));
    if (callback && !callback->empty()) items.push_back(stream_item(*callback, json));
    return items;
}

storage::OutboxItem Manager::status_item(const Worker& worker) const {
    const auto& row = worker.row;
    const auto& config = worker.command.config;
    const auto key = contracts::keys::worker_status(row.worker_id);
    redis::Arguments set{"HSET",         key,
                         "status",       std::string(json::name_of(row.state)),
                         "worker_type",  std::string(json::name_of(config.worker_type)),
                         "agent_type",   std::string(json::name_of(config.agent_type)),
                         "request_id",   row.request_id,
                         "host",         options_.host,
                         "image",        row.image,
                         "container_id", row.body_id,
                         "started_at",   format_timestamp(row.created_at),
                         "updated_at",   format_timestamp(system_now()),
                         "error",        row.error};
    if (const auto task = worker.command.context.find("task_id"); task != worker.command.context.end())
        set.insert(set.end(), {"task_id", task->second});
    if (row.exit_code) set.insert(set.end(), {"exit_code", std::to_string(*row.exit_code)});
    if (row.out_of_memory) set.insert(set.end(), {"out_of_memory", "1"});
    const std::chrono::seconds day = contracts::keys::kDeletedStatusTtl;
    if (worker.deleted()) return redis_item(key, {set, {"EXPIRE", key, std::to_string(day.count())}});
    return redis_item(key, {set, {"PERSIST", key}});
}

std::vector<storage::OutboxItem> Manager::creation_answers(const WorkerPtr& worker,
                                                           const std::optional<std::string>& error) const {
    std::vector<storage::OutboxItem> items;
    const auto answer = [&](const contracts::CreateWorkerCommand& command) {
        contracts::CreateWorkerResponse response;
        response.request_id = command.request_id;
        response.success = !error;
        response.worker_id = worker->row.worker_id;
        response.error = error;
        auto some = answers(command.config.worker_type, command.callback_stream, json::write(response));
        std::ranges::move(some, std::back_inserter(items));
    };
    answer(worker->command);
    for (const auto& command : worker->also_asked)
        if (command.request_id != worker->command.request_id) answer(command);
    return items;
}

WorkerPtr Manager::find(const std::string& worker_id) const {
    const auto found = workers_.find(worker_id);
    return found == workers_.end() ? nullptr : found->second;
}

WorkerDirectories Manager::directories(const std::string& worker_id) const {
    return {options_.state_directory / "workers" / worker_id};
}

boost::json::object Manager::gateway_counts(const Worker& worker) const {
    return worker.gateway ? to_json(worker.gateway->counts()) : worker.row.gateway;
}

}  // namespace codegen::worker_manager
