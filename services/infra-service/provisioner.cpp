#include "services/infra-service/provisioner.hpp"

#include <fmt/format.h>

#include "shared/async/deadline.hpp"
#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"
#include "shared/redis/progress.hpp"

namespace codegen::infra {
namespace {

using namespace std::chrono_literals;

constexpr auto kEndless = std::chrono::hours(24);

// A place among those that are worked on.
struct Place {
    explicit Place(std::size_t& taken) : taken_(taken) { ++taken_; }
    Place(const Place&) = delete;
    ~Place() { --taken_; }
    std::size_t& taken_;
};

Task<void> tell_progress(redis::Client* redis, std::string stream, std::string event) {
    auto added = co_await redis::publish_progress(redis, std::move(stream), std::move(event));
    if (!added) log::debug("progress is not told", {{"error", added.error().message}});
}

}  // namespace

Provisioner::Provisioner(Records& records, Store& store, redis::Client& redis, Work& work, async::Scope& scope,
                         ProvisionerOptions options)
    : records_(records), store_(store), redis_(redis), work_(work), scope_(scope), options_(std::move(options)) {}

// The table here has it now, so the API need not keep it any longer.
Task<Result<StoredRequest>> Provisioner::accept(contracts::ProvisionerMessage message) {
    const auto id = message.request_id;
    auto stored = co_await store_.accept(std::move(message), options_.clock());
    if (!stored) co_return std::unexpected(stored.error());
    auto forgotten = co_await records_.taken(id);
    if (!forgotten)
        log::warning("a request stays with the API", {{"request_id", id}, {"error", forgotten.error().message}});
    co_return std::move(*stored);
}

Task<Result<std::vector<contracts::ProvisionerMessage>>> Provisioner::forgotten(Timestamp before) {
    auto kept = co_await records_.pending(before);
    if (!kept) co_return std::unexpected(kept.error());
    std::vector<contracts::ProvisionerMessage> out;
    for (auto& message : *kept) {
        auto known = co_await store_.find(message.request_id);
        if (!known) co_return std::unexpected(known.error());
        auto stored = co_await accept(message);
        if (!stored) co_return std::unexpected(stored.error());
        // One that was known has a queue entry, or is among those that the store finds forgotten.
        if (!*known) out.push_back(std::move(message));
    }
    co_return out;
}

Task<Result<void>> Provisioner::handle(contracts::ProvisionerMessage message) {
    auto stored = co_await accept(message);
    if (!stored) co_return std::unexpected(stored.error());
    if (stored->told) co_return co_await tell_again(std::move(*stored));
    const Lease lease{message.server_handle, new_uuid()};
    auto done = co_await async::with_timeout(with_lease(message, lease), kEndless,
                                             "provisioning of server " + message.server_handle);
    co_await async::uncancellable();
    if (begun_.erase(message.request_id) > 0) {
        auto put_down = co_await store_.put_down(message.request_id);
        if (!put_down)
            log::warning("work that was put down counts as a death",
                         {{"request_id", message.request_id}, {"error", put_down.error().message}});
    }
    auto given = co_await store_.give_back(lease);
    if (!given)
        log::warning("a lease stays until it runs out", {{"server", lease.server}, {"error", given.error().message}});
    co_return done;
}

// False: another process has done it meanwhile.
Task<Result<bool>> Provisioner::take(contracts::ProvisionerMessage message, Lease lease) {
    for (bool first = true;; first = false) {
        const auto now = options_.clock();
        auto taken = co_await store_.take(lease, now, now + options_.lease);
        if (!taken) co_return std::unexpected(taken.error());
        if (*taken) break;
        if (first) progress(message, "waiting: somebody else works on this server");
        co_await async::sleep_for(options_.poll);
    }
    auto stored = co_await store_.find(message.request_id);
    if (!stored) co_return std::unexpected(stored.error());
    co_return *stored && !(*stored)->told;
}

Task<Result<void>> Provisioner::with_lease(contracts::ProvisionerMessage message, Lease lease) {
    auto taken = co_await take(message, lease);
    if (!taken) co_return std::unexpected(taken.error());
    if (!*taken) co_return Result<void>();
    std::optional<Result<void>> outcome;
    co_await async::first_of(work_and_keep(message, &outcome), keep(lease));
    if (outcome) co_return std::move(*outcome);
    co_return fail(ErrorCategory::transient, "busy",
                   fmt::format("the work on server {} was stopped: another process took it over", lease.server));
}

// Ends when the lease is lost.
Task<void> Provisioner::keep(Lease lease) {
    auto good_until = options_.clock() + options_.lease;
    while (true) {
        co_await async::sleep_for(options_.lease / 4);
        auto kept = co_await store_.renew(lease, options_.clock() + options_.lease);
        if (kept && *kept) {
            good_until = options_.clock() + options_.lease;
            continue;
        }
        if (kept) {
            log::error("the lease of a server is lost", {{"server", lease.server}});
            co_return;
        }
        log::warning("the lease of a server is not renewed, trying again",
                     {{"server", lease.server}, {"error", kept.error().message}});
        if (options_.clock() + options_.lease / 4 >= good_until) co_return;  // before somebody else begins
    }
}

Task<void> Provisioner::work_and_keep(contracts::ProvisionerMessage message, std::optional<Result<void>>* out) {
    auto done = co_await work_on(std::move(message));
    out->emplace(std::move(done));
}

Task<Result<void>> Provisioner::work_on(contracts::ProvisionerMessage message) {
    while (working_ >= options_.parallel) co_await async::sleep_for(options_.poll / 4);
    const Place place(working_);
    auto stored = co_await store_.find(message.request_id);
    if (!stored) co_return std::unexpected(stored.error());
    std::optional<Ending> ending = *stored ? (*stored)->ending : std::nullopt;
    if (!ending) {
        auto server = co_await records_.server(message.server_handle);
        if (!server && server.error().code == "not_found") co_return co_await refuse(message, server.error());
        if (!server) co_return std::unexpected(server.error());
        auto worked = co_await work(message, std::move(*server));
        if (!worked) co_return std::unexpected(worked.error());
        auto first = co_await store_.end(message.request_id, std::move(*worked), options_.clock());
        if (!first) co_return std::unexpected(first.error());
        ending = std::move(*first);
    }
    auto told = co_await records_.tell(message.server_handle, *ending, options_.clock());
    if (!told) co_return told;
    const bool good = ending->result.status == contracts::ResultStatus::success;
    (good ? log::info : log::error)("provisioning ended",
                                    {{"server", message.server_handle},
                                     {"status", std::string(json::name_of(ending->result.status))},
                                     {"error", ending->result.error.value_or("")}});
    co_return co_await store_.told(message.request_id, std::move(ending->result), message.callback_stream,
                                   options_.clock());
}

// A death is what neither ends nor is put down: whatever it is about the request that kills, it does not kill for ever.
Task<Result<Ending>> Provisioner::work(contracts::ProvisionerMessage message, contracts::Server server) {
    auto begun = co_await store_.begin(message.request_id);
    if (!begun) co_return std::unexpected(begun.error());
    if (*begun > options_.deaths) {
        Ending out;
        out.result.request_id = message.request_id;
        out.result.server_handle = server.handle;
        out.result.server_ip = server.public_ip;
        out.result.status = contracts::ResultStatus::failed;
        out.result.error = fmt::format(
            "given up: {} processes of infra-service died while they worked on it; see their log, then ask again",
            options_.deaths);
        out.status = contracts::ServerStatus::error;
        out.incident = contracts::IncidentType::provisioning_failed;
        out.recovery = message.is_recovery;
        co_return out;
    }
    log::info("provisioning begins", {{"server", message.server_handle}, {"request_id", message.request_id}});
    begun_.insert(message.request_id);
    auto worked = co_await work_.run(message, std::move(server),
                                     [this, message](std::string line) { progress(message, std::move(line)); });
    if (worked) begun_.erase(message.request_id);
    co_return worked;
}

Task<Result<void>> Provisioner::refuse(contracts::ProvisionerMessage message, Error error) {
    contracts::ProvisionerResult result;
    result.request_id = message.request_id;
    result.server_handle = message.server_handle;
    result.status = contracts::ResultStatus::failed;
    result.error = "server_handle: " + error.message;
    auto told = co_await store_.told(message.request_id, std::move(result), message.callback_stream, options_.clock());
    if (!told) co_return told;
    co_return fail(ErrorCategory::permanent, "not_found", "server_handle: " + error.message, "server_handle");
}

Task<Result<void>> Provisioner::tell_again(StoredRequest stored) {
    if (!stored.ending) co_return Result<void>();  // refused
    co_return co_await store_.tell_again(std::move(stored.ending->result), std::move(stored.message.callback_stream));
}

void Provisioner::progress(const contracts::ProvisionerMessage& message, std::string line) {
    contracts::ProgressEvent event;
    event.type = contracts::ProgressType::progress;
    event.request_id = message.request_id;
    event.message = std::move(line);
    scope_.spawn("provisioning progress",
                 tell_progress(&redis_, contracts::streams::task_progress(message.request_id), json::write(event)));
}

}  // namespace codegen::infra
