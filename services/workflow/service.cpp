#include "services/workflow/service.hpp"

#include "services/workflow/delivery.hpp"
#include "services/workflow/intake.hpp"
#include "shared/async/shutdown.hpp"
#include "shared/logging/log.hpp"
#include "shared/redis/data_loss.hpp"

namespace codegen::workflow {
namespace {

namespace streams = contracts::streams;

}  // namespace

struct Service::Impl {
    Impl(asio::any_io_executor executor, storage::Database& the_database, clients::ApiClient the_api,
         ServiceOptions the_options)
        : database(the_database),
          api(std::move(the_api)),
          options(std::move(the_options)),
          redis(executor, options.redis, {.name = "workflow"}),
          delivery(redis, api, options.github),
          outbox(database, "workflow", [this](storage::OutboxItem item) { return delivery.deliver(std::move(item)); }),
          store(database, outbox),
          scaffolding(redis, api, options.scaffolding),
          runner(store, api, scope, scaffolding,
                 {options.repositories, options.instance, options.timings, options.sweeper.clock, options.policy}),
          intake(store, api, runner, options.sweeper.clock),
          sweeper(store, api, runner, intake, options.sweeper),
          data_loss(
              executor, options.redis, "workflow", [this] { return send_again(); }, options.data_loss_interval),
          shutdown(executor),
          scope(executor) {
        add_consumer(executor, streams::kEngineering, streams::kCapabilityWorkersGroup,
                     redis::typed<contracts::EngineeringMessage>(
                         [this](contracts::EngineeringMessage message, redis::Delivery entry) {
                             return intake.engineering(std::move(message), std::move(entry));
                         }));
        add_consumer(executor, streams::kDeveloperResponses, streams::kWorkflowGroup,
                     [this](redis::Delivery entry) { return intake.worker_response(std::move(entry)); });
        add_consumer(executor, streams::kDeveloperOutput, streams::kWorkflowGroup,
                     redis::typed<contracts::DeveloperWorkerOutput>(
                         [this](contracts::DeveloperWorkerOutput output, redis::Delivery entry) {
                             return intake.developer_output(std::move(output), std::move(entry));
                         }));
        add_consumer(executor, streams::kScaffolderResults, streams::kWorkflowGroup,
                     redis::typed<contracts::ScaffolderResult>(
                         [this](contracts::ScaffolderResult result, redis::Delivery entry) {
                             return intake.scaffolded(std::move(result), std::move(entry));
                         }));
        add_consumer(
            executor, streams::kWorkflowCommands, streams::kWorkflowGroup,
            redis::typed<contracts::WorkflowCommand>([this](contracts::WorkflowCommand command, redis::Delivery entry) {
                return intake.command(std::move(command), std::move(entry));
            }));
    }

    void add_consumer(asio::any_io_executor executor, std::string_view stream, std::string_view group,
                      redis::DeliveryHandler handler) {
        redis::ConsumerOptions consumer;
        consumer.stream = stream;
        consumer.group = group;
        consumer.consumer = options.instance;
        consumer.service = "workflow";
        consumer.claim_idle = options.claim_idle;
        consumers.push_back(
            std::make_unique<redis::Consumer>(executor, options.redis, std::move(consumer), std::move(handler)));
    }

    // Redis came back without what it had: every outstanding request goes out again, now.
    Task<Result<void>> send_again() {
        scaffolding.forget_sent();
        auto due = co_await store.resend_all(options.sweeper.clock());
        if (!due) co_return std::unexpected(due.error());
        co_return co_await sweeper.remind_due();
    }

    storage::Database& database;
    clients::ApiClient api;
    const ServiceOptions options;
    redis::Client redis;
    Delivery delivery;
    storage::Outbox outbox;
    RunStore store;
    Scaffolding scaffolding;
    Runner runner;
    Intake intake;
    Sweeper sweeper;
    std::vector<std::unique_ptr<redis::Consumer>> consumers;
    redis::DataLossDetector data_loss;
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
    auto migrated = co_await self->database.migrate("workflow", RunStore::migrations());
    if (!migrated) co_return std::unexpected(in_context(migrated.error(), "workflow"));
    auto due = co_await self->store.resend_all(self->options.sweeper.clock());
    if (!due) co_return std::unexpected(in_context(due.error(), "workflow"));

    self->scope.spawn("workflow outbox", self->outbox.run());
    self->scope.spawn("workflow sweeper", self->sweeper.run());
    self->scope.spawn("workflow scaffolding", self->scaffolding.run());
    self->scope.spawn("workflow data loss", self->data_loss.run());
    std::vector<std::string> owned;
    for (auto& consumed : consumed_streams()) owned.push_back(std::move(consumed.stream));
    self->scope.spawn("workflow upkeep",
                      keep_up(&self->redis, std::move(owned), self->options.repositories, self->options.upkeep));
    for (auto& consumer : self->consumers)
        self->scope.spawn("workflow consumer", self->shutdown.watch(consumer->run()));

    co_await self->shutdown.wait();
    for (auto& consumer : self->consumers) consumer->stop();
    co_await self->scope.stop();
    self->redis.close();
    co_return self->shutdown.outcome("workflow");
}

void Service::stop() { impl_->shutdown.begin(); }

std::vector<redis::ConsumedStream> Service::consumed_streams() {
    const auto stream = [](std::string_view name, std::string_view group, std::string message) {
        return redis::ConsumedStream{std::string(name), std::string(group), "workflow", std::move(message)};
    };
    return {stream(streams::kEngineering, streams::kCapabilityWorkersGroup, "EngineeringMessage"),
            stream(streams::kDeveloperResponses, streams::kWorkflowGroup, "WorkerResponse"),
            stream(streams::kDeveloperOutput, streams::kWorkflowGroup, "DeveloperWorkerOutput"),
            stream(streams::kScaffolderResults, streams::kWorkflowGroup, "ScaffolderResult"),
            stream(streams::kWorkflowCommands, streams::kWorkflowGroup, "WorkflowCommand")};
}

}  // namespace codegen::workflow
