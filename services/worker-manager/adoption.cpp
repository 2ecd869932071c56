// Taking over from a former manager: what it promised is done, what it made is served again.
#include <fmt/format.h>

#include "services/worker-manager/manager.hpp"
#include "services/worker-manager/programs.hpp"
#include "services/worker-manager/repository/tree.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {

Task<Result<void>> Manager::run() {
    auto migrated = co_await store_.migrate();
    if (!migrated) co_return migrated;
    auto ours = co_await store_.keep_for(options_.installation);
    if (!ours) co_return ours;
    auto sessions = co_await sessions_.open();
    if (!sessions) co_return std::unexpected(in_context(sessions.error(), "sessions"));
    auto egress = EgressRules::parse(options_.egress_allow);
    if (!egress) co_return std::unexpected(egress.error());
    GatewaySettings settings;
    settings.redis = options_.redis;
    settings.api_url = options_.api_url;
    settings.providers = options_.providers;
    settings.egress = std::move(*egress);
    settings.max_tokens_per_task = options_.max_tokens_per_task;
    settings.provider_patience = options_.provider_patience;
    auto api = clients::ApiClient::make(executor_, options_.api_url, options_.service_token);
    if (!api) co_return std::unexpected(api.error());
    settings.prices = std::make_shared<PriceBook>(prices_from(*api));
    gateway_settings_ = std::make_shared<const GatewaySettings>(std::move(settings));
    api_ = std::make_unique<clients::ApiClient>(std::move(*api));
    auto programs = install_programs(options_.programs_source, options_.state_directory / "bin");
    if (!programs) co_return std::unexpected(in_context(programs.error(), "programs for workers"));
    programs_ = std::move(*programs);
    if (auto made = posix::make_directory(options_.state_directory / "workers", 0711); !made) co_return made;
    for (const auto& stranger : sessions_.strangers()) co_await sessions_.forget(stranger);
    co_await remove_tree(options_.state_directory / "quarantine");  // of a collection that was cut off

    if (auto prepared = prepare_front(); !prepared) co_return prepared;

    scope_.spawn("outbox", outbox_.run());
    scope_.spawn("admission", admission_clock());
    auto loaded = co_await load_workers();
    if (!loaded) co_return loaded;
    if (auto opened = front_->open(options_.state_directory / "manager.sock"); !opened) co_return opened;
    scope_.spawn("announcement", announce_to_people());
    scope_.spawn("adoption", reconcile());
    scope_.spawn("sweep", sweep());
    scope_.spawn("hosts", stay_known());
    scope_.spawn("idle", idle_clock());
    scope_.spawn("inputs of sleepers", watch_sleepers());
    co_return co_await consume();
}

Task<void> Manager::stop() {
    stopping_ = true;
    for (const auto& consumer : consumers_) consumer->stop();
    for (const auto& [id, worker] : workers_) worker->interrupt.emit(asio::cancellation_type::terminal);
    if (front_) co_await front_->stop();
    co_await scope_.stop();
    co_await warm_.stop();
    for (const auto& [id, worker] : workers_) {
        if (!worker->gateway) continue;
        auto saved = co_await save(worker);
        if (!saved) log::warning("counts of a gateway", {{"worker_id", id}, {"error", saved.error().message}});
        co_await worker->gateway->close();
        worker->gateway.reset();
    }
    redis_.close();
}

Task<Result<void>> Manager::load_workers() {
    auto rows = co_await store_.load();
    if (!rows) co_return std::unexpected(rows.error());
    for (auto& row : *rows) {
        auto command = json::parse<contracts::CreateWorkerCommand>(row.command);
        if (!command) {
            log::error("stored worker cannot be read",
                       {{"worker_id", row.worker_id}, {"error", invalid(command.error()).message}});
            continue;
        }
        const auto id = row.worker_id;
        // Another runtime would not find its body and take it for dead: an engine that is away at our start, for one.
        const bool may_have_body = row.state != WorkerState::QUEUED && row.state != WorkerState::STOPPED;
        if (may_have_body && row.runtime != runtime_->name())
            co_return fail(ErrorCategory::fatal, "configuration",
                           fmt::format("worker {} lives in the runtime {}, but this is {}: make that one work (is the "
                                       "engine there?) and set RUNTIME={} until its workers are deleted",
                                       id, row.runtime, runtime_->name(), row.runtime));
        row.runtime = runtime_->name();
        workers_[id] = std::make_shared<Worker>(executor_, std::move(row), std::move(*command));
        if (const auto* session = sessions_.of_worker(id)) workers_[id]->session = {session->session_id, false, false};
        resume(workers_[id]);
    }
    pump();
    scope_.spawn("creation queue", mirror_queue());  // of a former manager
    co_return Result<void>{};
}

void Manager::resume(WorkerPtr worker) {
    const auto& row = worker->row;
    if (worker->deleted() || row.ended) {
        if (worker->deleting()) return scope_.spawn("delete " + row.worker_id, remove(worker));
        if (removed_idle(*worker)) scope_.spawn("input of " + row.worker_id, expect_input(worker));
        return;
    }
    if (row.state == WorkerState::QUEUED && !worker->deleting()) return ask_admission(*worker);
    admission_.hold(row.worker_id);
    find_login_again(*worker);  // also of one that is being deleted: its body may still have it
    if (worker->deleting()) return scope_.spawn("delete " + row.worker_id, remove(worker));
    // Nobody was told yet that it exists, so nothing runs in it: made again from the start.
    if (row.state == WorkerState::STARTING) return scope_.spawn("create " + row.worker_id, create(worker));
    worker->adopted = true;
    // Its wrapper waits for the gateway; everything else can come later.
    if (auto opened = open_gateway(worker); !opened)
        log::error("gateway of an adopted worker", {{"worker_id", row.worker_id}, {"error", opened.error().message}});
    scope_.spawn("token of " + row.worker_id, renew_token(worker));
    // What was said to it meanwhile is not known; it goes to sleep again.
    if (row.state == WorkerState::PAUSED) scope_.spawn("wake " + row.worker_id, wake(worker));
    if (row.body_id.empty()) return scope_.spawn("body of " + row.worker_id, find_body(worker));
    log::info("worker adopted", {{"worker_id", row.worker_id}, {"body", row.body_id}});
}

// A former manager died while it made another body for it (revive()), before it could note which: taken over when it is
// there, else lost like any other.
Task<void> Manager::find_body(WorkerPtr worker) {
    auto& row = worker->row;
    {
        auto held = co_await worker->turn.take();
        auto bodies = co_await runtime_->list();
        while (!bodies) {  // unknown, not dead
            if (!worker->alive()) co_return;
            co_await async::sleep_for(std::chrono::seconds(1));
            bodies = co_await runtime_->list();
        }
        if (!worker->alive()) co_return;
        for (const auto& body : *bodies)
            if (body.worker_id == row.worker_id && body.attempt == row.attempt && body.running)
                row.body_id = body.body_id;
        if (!row.body_id.empty()) {
            auto saved = co_await save(worker, {status_item(*worker)});
            if (!saved)
                log::error("the body of a worker was not recorded",
                           {{"worker_id", row.worker_id}, {"error", saved.error().message}});
            log::info("worker adopted", {{"worker_id", row.worker_id}, {"body", row.body_id}});
            co_return;
        }
    }
    co_await end(worker, {row.worker_id, "", {}, false});
}

// A worker may live longer than its token. The former one goes when the gateway has the next.
void Manager::renew_old_tokens() {
    for (const auto& [id, worker] : workers_) {
        if (!worker->alive() || !worker->gateway || worker->token_renewal) continue;
        if (worker->token_expires - system_now() > options_.token_life / 2) continue;
        worker->token_renewal = true;
        scope_.spawn("next token of " + id, renew_old_token(worker));
    }
}

Task<void> Manager::renew_old_token(WorkerPtr worker) {
    auto held = co_await worker->turn.take();
    if (worker->alive() && worker->token_expires - system_now() <= options_.token_life / 2) {
        const auto former = std::exchange(worker->row.token_id, new_uuid());
        auto renewed = co_await save(worker);
        if (renewed) renewed = co_await fetch_token(worker, true);
        if (renewed) {
            renewed = co_await save_and_say({}, {{"api", "/api/tokens/" + former, ""}});
            log::info("token of a worker renewed", {{"worker_id", worker->row.worker_id}});
        }
        if (!renewed) {
            // The one in use is still the former one: it goes with the worker.
            const auto unknown = std::exchange(worker->row.token_id, former);
            auto undone = co_await save(worker, {{"api", "/api/tokens/" + unknown, ""}});
            if (!undone) log::warning("token of a worker", {{"error", undone.error().message}});
            log::warning("token of a worker not renewed, it is tried again",
                         {{"worker_id", worker->row.worker_id}, {"error", renewed.error().message}});
        }
    }
    worker->token_renewal = false;
}

Task<void> Manager::renew_token(WorkerPtr worker) {
    for (;;) {
        if (worker->alive()) {
            auto held = co_await worker->turn.take();
            // Another renewal may have come first: a token in use is not taken away again.
            const bool needed = worker->alive() && worker->token_expires <= system_now();
            auto fetched = needed ? co_await fetch_token(worker) : Result<void>{};
            if (fetched) fetched = co_await count_earlier_usage(worker);
            if (fetched) co_return;
            log::warning("token of an adopted worker",
                         {{"worker_id", worker->row.worker_id}, {"error", fetched.error().message}});
        } else {
            co_return;
        }
        co_await async::sleep_for(std::chrono::seconds(2));
    }
}

// An engine that cannot be asked means unknown: nothing is dead, nothing is started twice.
Task<void> Manager::reconcile() {
    std::optional<std::vector<Body>> bodies;
    while (!bodies) {
        auto listed = co_await end_missing_bodies();
        if (listed) {
            bodies = std::move(*listed);
        } else {
            log::warning("bodies cannot be listed; their workers are left alone",
                         {{"runtime", runtime_->name()}, {"error", listed.error().message}});
            co_await async::sleep_for(std::chrono::seconds(2));
        }
    }
    for (const auto& body : *bodies) {
        const auto& id = body.worker_id;
        const auto worker = find(id);
        if (worker && !worker->deleted()) continue;
        log::warning("a body that nobody owns is removed", {{"worker_id", id}, {"body", body.body_id}});
        auto removed = co_await runtime_->remove(id, options_.kill_grace);
        if (!removed) log::error("body not removed", {{"worker_id", id}, {"error", removed.error().message}});
    }
    co_await warm_.begin();
    scope_.spawn("missing bodies", look_for_missing_bodies());
    co_await runtime_->watch([this](BodyEnd ended) { return on_body_end(std::move(ended)); });
}

// Ends the workers whose bodies are not there. Ended bodies that still stand are listed: watch() reports those.
Task<Result<std::vector<Body>>> Manager::end_missing_bodies() {
    // Looked up before the list is taken: what is made meanwhile is not in it.
    std::map<std::string, std::string> expected;
    for (const auto& [id, worker] : workers_)
        if (worker->alive() && !worker->row.body_id.empty()) expected[id] = worker->row.body_id;
    auto listed = co_await runtime_->list();
    if (!listed) co_return listed;
    for (const auto& body : *listed)
        if (const auto found = expected.find(body.worker_id); found != expected.end() && found->second == body.body_id)
            expected.erase(found);
    for (const auto& [id, body_id] : expected)
        if (const auto worker = find(id); worker && worker->alive()) co_await end(worker, {id, body_id, {}, false});
    co_return listed;
}

// A body that somebody else removed while the runtime could not be watched leaves no event.
Task<void> Manager::look_for_missing_bodies() {
    constexpr int kSweeps = 15;
    for (;;) {
        co_await async::sleep_for(kSweeps * options_.sweep_interval);
        auto looked = co_await end_missing_bodies();
        if (!looked) log::debug("bodies cannot be listed", {{"error", looked.error().message}});
    }
}

}  // namespace codegen::worker_manager
