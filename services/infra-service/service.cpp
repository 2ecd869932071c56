#include "services/infra-service/service.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "shared/async/shutdown.hpp"
#include "shared/logging/log.hpp"
#include "shared/process/process.hpp"
#include "shared/redis/streams.hpp"

namespace codegen::infra {
namespace {

namespace streams = contracts::streams;

bool in_path(const std::string& program) {
    if (program.find('/') != program.npos) return ::access(program.c_str(), X_OK) == 0;
    const auto path = process::minimal_environment().at("PATH");
    for (std::size_t at = 0; at <= path.size();) {
        const auto end = std::min(path.find(':', at), path.size());
        if (end > at && ::access((path.substr(at, end - at) + "/" + program).c_str(), X_OK) == 0) return true;
        at = end + 1;
    }
    return false;
}

}  // namespace

std::vector<std::string> missing_programs(const WorkOptions& options) {
    std::vector<std::string> out;
    if (!in_path(options.ansible))
        out.push_back(options.ansible + " (apt-get install ansible-core, or set ANSIBLE_PLAYBOOK)");
    for (const auto* program : {"ssh", "ssh-keygen"})
        if (!in_path(program)) out.push_back(std::string(program) + " (apt-get install openssh-client)");
    std::error_code error;
    if (!std::filesystem::exists(options.playbooks / "provision.yml", error))
        out.push_back(options.playbooks.string() + "/provision.yml (part of this program)");
    return out;
}

struct Service::Impl {
    Impl(asio::any_io_executor executor, storage::Database& the_database, clients::ApiClient the_api,
         ServiceOptions the_options)
        : database(the_database),
          api(std::move(the_api)),
          options(std::move(the_options)),
          redis(executor, options.redis, {.name = "infra-service"}),
          outbox(database, "infra", [this](storage::OutboxItem item) { return publish(&redis, std::move(item)); }),
          store(database, outbox),
          records(api),
          work(executor, records, store, options.work),
          provisioner(records, store, redis, work, scope, options.provisioner),
          consumer(executor, options.redis, consumer_options(options),
                   redis::typed<contracts::ProvisionerMessage>(
                       [this](contracts::ProvisionerMessage message, redis::Delivery) {
                           return provisioner.handle(std::move(message));
                       })),
          shutdown(executor),
          scope(executor) {}

    static redis::ConsumerOptions consumer_options(const ServiceOptions& options) {
        redis::ConsumerOptions out;
        out.stream = streams::kProvisioner;
        out.group = streams::kInfrastructureGroup;
        out.consumer = options.instance;
        out.service = "infra-service";
        out.concurrency = options.concurrency;
        out.claim_idle = options.claim_idle;
        return out;
    }

    static Task<Result<void>> publish(redis::Client* redis, storage::OutboxItem item) {
        auto added = co_await redis::publish(*redis, item.target, std::move(item.body));
        if (!added) co_return std::unexpected(in_context(added.error(), "stream " + item.target));
        co_return Result<void>();
    }

    // Requests whose queue entry is gone (a Redis that lost its data, an entry that became a dead letter): those that
    // were taken, and those of which somebody was told that they are.
    static Task<void> sweep(Impl* self) {
        while (true) {
            co_await async::sleep_for(self->options.sweep);
            const auto now = self->options.provisioner.clock();
            auto lost = co_await self->provisioner.forgotten(now - self->options.sweep);
            if (!lost) log::warning("lost requests are not looked for", {{"error", lost.error().message}});
            if (lost) take_up(self, std::move(*lost));
            auto forgotten = co_await self->store.forgotten(now - 2 * self->options.sweep, now);
            if (!forgotten) {
                log::warning("requests are not looked for", {{"error", forgotten.error().message}});
                continue;
            }
            take_up(self, std::move(*forgotten));
            auto old = co_await self->store.forget(now - self->options.keep_requests);
            if (!old) log::warning("old requests are not forgotten", {{"error", old.error().message}});
            auto trimmed = co_await redis::trim_consumed(self->redis, std::string(streams::kProvisioner));
            if (!trimmed) log::warning("stream not trimmed", {{"error", trimmed.error().message}});
        }
    }
    static void take_up(Impl* self, std::vector<contracts::ProvisionerMessage> messages) {
        for (auto& message : messages) {
            log::warning("a request that nobody works on is taken up",
                         {{"server", message.server_handle}, {"request_id", message.request_id}});
            self->scope.spawn("provisioning taken up", again(self, std::move(message)));
        }
    }
    static Task<void> again(Impl* self, contracts::ProvisionerMessage message) {
        const auto handle = message.server_handle;
        auto done = co_await self->provisioner.handle(std::move(message));
        if (!done) log::warning("provisioning failed", {{"server", handle}, {"error", done.error().message}});
    }

    storage::Database& database;
    clients::ApiClient api;
    const ServiceOptions options;
    redis::Client redis;
    storage::Outbox outbox;
    Store store;
    Records records;
    Work work;
    Provisioner provisioner;
    redis::Consumer consumer;
    async::Shutdown shutdown;
    async::Scope scope;  // last: its tasks use everything above
};

Service::Service(asio::any_io_executor executor, storage::Database& database, clients::ApiClient api,
                 ServiceOptions options)
    : impl_(std::make_shared<Impl>(executor, database, std::move(api), std::move(options))) {}
Service::~Service() = default;

Task<Result<void>> Service::run() {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto self = impl_;
    auto migrated = co_await self->database.migrate("infra", Store::migrations());
    if (!migrated) co_return std::unexpected(in_context(migrated.error(), "infra-service"));
    if (const auto left = remove_left_runs(self->options.work.folder / "runs"); left > 0)
        log::warning("provisionings that a process left were ended", {{"count", std::to_string(left)}});
    for (const auto& program : missing_programs(self->options.work))
        log::warning("servers cannot be provisioned from here: something is missing", {{"missing", program}});

    self->scope.spawn("infra outbox", self->outbox.run());
    self->scope.spawn("infra consumer", self->shutdown.watch(self->consumer.run()));
    self->scope.spawn("infra sweep", Impl::sweep(self.get()));
    co_await self->shutdown.wait();
    self->consumer.stop();
    co_await self->scope.stop();
    self->redis.close();
    co_return self->shutdown.outcome("infra-service");
}

void Service::stop() { impl_->shutdown.begin(); }

std::vector<redis::ConsumedStream> Service::consumed_streams() {
    return {{std::string(streams::kProvisioner), std::string(streams::kInfrastructureGroup), "infra-service",
             "ProvisionerMessage"}};
}

}  // namespace codegen::infra
