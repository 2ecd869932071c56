// What a worker may take, what this host has, and who is made next.
#include <fmt/format.h>

#include "services/worker-manager/manager.hpp"
#include "shared/async/log_context.hpp"
#include "shared/contracts/keys.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {

Result<WorkerLimits> Manager::limits_of(const contracts::WorkerConfig& config) const {
    auto defaults = options_.limits;
    if (const auto own = options_.agent_memory.find(config.agent_type); own != options_.agent_memory.end())
        defaults.memory_bytes = own->second;
    return worker_limits(config, defaults, options_.limit_caps);
}

void Manager::ask_admission(const Worker& worker) {
    const auto limits = limits_of(worker.command.config).value_or(options_.limits);  // check() was before
    admission_.ask(worker.row.worker_id, worker.row.created_at, limits.memory_bytes);
}

std::optional<HostMemory> Manager::host_memory() const {
    return options_.host_memory ? options_.host_memory() : std::nullopt;
}

void Manager::pump() {
    // A host that does not say what it has is not waited for.
    const auto memory = admission_.waiting().empty() ? std::nullopt : host_memory();
    const auto wanted_memory = admission_.wants_memory();
    const auto moves = admission_.advance(system_now(), memory ? std::optional(memory->available) : std::nullopt);
    for (const auto& id : moves.admitted)
        if (auto worker = find(id)) {
            if (can_be_prepared(*worker)) worker->slot = warm_.take(kind_of(*worker));
            scope_.spawn("create " + id, async::within(worker->on_behalf, create(worker)));
        }
    warm_.settle();
    const auto waited = std::chrono::duration_cast<std::chrono::seconds>(options_.creation_timeout).count();
    for (const auto& id : moves.expired) {
        const auto worker = find(id);
        if (!worker) continue;
        auto why = wanted_memory && memory
                       ? fmt::format(
                             "no_capacity: this host had not enough memory for {} s; it has {} bytes available, "
                             "the first worker in the queue may take more",
                             waited, memory->available)
                       : fmt::format("no_capacity: no slot became free within {} s; all {} are in use", waited,
                                     admission_.slots());
        scope_.spawn("no room for " + id, async::within(worker->on_behalf, give_up(worker, std::move(why))));
    }
    // Most creations never wait.
    if (auto waiting = admission_.waiting(); waiting != mirrored_) {
        mirrored_ = std::move(waiting);
        scope_.spawn("creation queue", mirror_queue());
    }
    if (const auto at = admission_.next_expiry()) {
        auto wait = *at - system_now() + std::chrono::milliseconds(1);
        if (admission_.wants_memory()) wait = std::min<std::chrono::microseconds>(wait, options_.memory_interval);
        admission_timer_.expires_after(wait);
    }
}

Task<void> Manager::admission_clock() {
    for (;;) {
        co_await admission_timer_.async_wait(async::use_tuple);
        if (admission_timer_.expiry() > std::chrono::steady_clock::now()) continue;
        admission_timer_.expires_at(asio::steady_timer::time_point::max());
        pump();
    }
}

Task<void> Manager::mirror_queue() {
    const std::string key(contracts::keys::kCreationQueue);
    std::vector<redis::Arguments> commands{{"DEL", key}};
    for (const auto& id : admission_.waiting())
        if (const auto worker = find(id)) commands.push_back({"RPUSH", key, worker->row.command});
    auto done = co_await redis_.transaction(std::move(commands));
    if (!done && !stopping_) log::warning("mirror of the creation queue", {{"error", done.error().message}});
    if (!done) mirrored_.clear();  // written with the next change
}

}  // namespace codegen::worker_manager
