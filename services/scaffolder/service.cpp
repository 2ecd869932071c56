#include "services/scaffolder/service.hpp"

#include <fmt/format.h>

#include <set>

#include "services/scaffolder/work_directory.hpp"
#include "shared/async/scope.hpp"
#include "shared/async/shutdown.hpp"
#include "shared/contracts/stream_table.hpp"
#include "shared/logging/log.hpp"
#include "shared/redis/progress.hpp"
#include "shared/redis/streams.hpp"

namespace codegen::scaffolder {
namespace {

namespace streams = contracts::streams;
using contracts::ProgressType;
using std::chrono::steady_clock;

constexpr std::size_t kAtOnce = 4;
constexpr std::size_t kKeptEntries = 1000;
constexpr std::chrono::minutes kUpkeep{5};
constexpr std::chrono::milliseconds kTurnPoll{50};

bool will_be_tried_again(const Error& error, int attempt) {
    if (error.code == "cancelled") return true;  // by the next process
    return RetryPolicy().next(error.category, attempt - 1).has_value();
}

// One at a time for each project.
struct Turn {
    ~Turn() { of.erase(project_id); }
    std::set<std::string>& of;
    std::string project_id;
};

}  // namespace

struct Service::Impl {
    Impl(asio::any_io_executor executor, clients::ApiClient the_api, std::unique_ptr<RepositoryHost> the_host,
         ServiceOptions the_options)
        : options(std::move(the_options)),
          api(std::move(the_api)),
          host(std::move(the_host)),
          redis(executor, options.redis, {.name = "scaffolder"}),
          scaffolder(api, *host, options.scaffolder),
          shutdown(executor),
          scope(executor) {
        redis::ConsumerOptions consuming;
        consuming.stream = streams::kScaffolder;
        consuming.group = contracts::reader_group(streams::kScaffolder);
        consuming.consumer = options.instance;
        consuming.service = "scaffolder";
        consuming.concurrency = kAtOnce;
        consuming.claim_idle = options.claim_idle;
        consumer.emplace(executor, options.redis, std::move(consuming),
                         redis::typed<contracts::ScaffolderMessage>(
                             [this](contracts::ScaffolderMessage message, redis::Delivery delivery) {
                                 return handle(std::move(message), std::move(delivery));
                             }));
    }

    Task<Result<void>> handle(contracts::ScaffolderMessage message, redis::Delivery delivery) {
        while (!busy.insert(message.project_id).second) co_await async::sleep_for(kTurnPoll);
        const Turn turn{busy, message.project_id};
        const auto begun = steady_clock::now();
        const Tell tell = [this, message](std::string step, std::string sentence, int percent) {
            return progress(message, ProgressType::progress, std::move(step), std::move(sentence), percent, {});
        };
        co_await progress(message, ProgressType::started, "scaffold", "making the first code base", 0, {});
        auto made = co_await scaffolder.make(message.project_id, tell);
        if (!made && will_be_tried_again(made.error(), delivery.attempt)) {
            log::warning("scaffolding is tried again",
                         {{"project_id", message.project_id}, {"error", made.error().message}});
            co_return std::unexpected(made.error());
        }
        const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - begun);
        auto told = co_await answer(message, made, took.count());
        if (!told) co_return told;
        // Of what concerns a project its person hears; what does not is kept as a dead letter.
        if (!made && (made.error().category != ErrorCategory::permanent || made.error().code == kNoProject))
            co_return std::unexpected(made.error());
        co_return Result<void>();
    }

    Task<Result<void>> answer(contracts::ScaffolderMessage message, Result<Made> made, std::int64_t took) {
        contracts::ScaffolderResult result;
        result.request_id = message.request_id;
        result.project_id = message.project_id;
        result.duration_ms = took;
        if (made) {
            result.status = contracts::ResultStatus::success;
            result.repo_url = made->repository_url;
            result.files_generated = made->files;
            log::info("scaffolded", {{"project_id", message.project_id},
                                     {"repository", made->repository_url},
                                     {"files", std::to_string(made->files)}});
            const auto sentence = made->left_alone ? "the repository has code already and is left as it is"
                                                   : fmt::format("{} files in {}", made->files, made->repository_url);
            co_await progress(message, ProgressType::completed, "scaffold", sentence, 100, {});
        } else {
            const auto& error = made.error();
            result.status =
                error.code == "timeout" ? contracts::ResultStatus::timeout : contracts::ResultStatus::failed;
            result.error = error.message;
            log::warning("scaffolding failed", {{"project_id", message.project_id}, {"error", error.message}});
            if (error.code != kNoProject) {
                auto noted = co_await scaffolder.give_up(message.project_id, error.message);
                if (!noted && noted.error().code != kNoProject) co_return noted;
            }
            co_await progress(message, ProgressType::failed, "scaffold", "no code base", 100, error.message);
        }
        const auto text = json::write(result);
        if (message.callback_stream) {
            auto sent = co_await redis::publish(redis, *message.callback_stream, text);
            if (!sent) co_return std::unexpected(sent.error());
        }
        auto sent = co_await redis::publish(redis, std::string(streams::kScaffolderResults), text);
        if (!sent) co_return std::unexpected(sent.error());
        co_return Result<void>();
    }

    // For people who watch: nothing depends on it.
    Task<void> progress(contracts::ScaffolderMessage message, ProgressType type, std::string step, std::string sentence,
                        int percent, std::optional<std::string> error) {
        contracts::ProgressEvent event;
        event.type = type;
        event.request_id = message.request_id;
        event.message = std::move(sentence);
        event.progress_pct = percent;
        event.current_step = std::move(step);
        event.error = std::move(error);
        auto sent =
            co_await redis::publish_progress(&redis, streams::task_progress(message.project_id), json::write(event));
        if (!sent) log::debug("progress not told", {{"error", sent.error().message}});
    }

    static Task<void> keep_up(Impl* self) {
        for (;;) {
            auto trimmed = co_await redis::trim_consumed(self->redis, std::string(streams::kScaffolder), kKeptEntries);
            if (!trimmed) log::debug("scaffolder:queue not trimmed", {{"error", trimmed.error().message}});
            co_await async::sleep_for(kUpkeep);
        }
    }

    const ServiceOptions options;
    clients::ApiClient api;
    std::unique_ptr<RepositoryHost> host;
    redis::Client redis;
    Scaffolder scaffolder;
    std::set<std::string> busy;  // projects
    std::optional<redis::Consumer> consumer;
    async::Shutdown shutdown;
    async::Scope scope;  // last: its tasks use everything above
};

Service::Service(asio::any_io_executor executor, clients::ApiClient api, std::unique_ptr<RepositoryHost> host,
                 ServiceOptions options)
    : impl_(std::make_shared<Impl>(executor, std::move(api), std::move(host), std::move(options))) {}
Service::~Service() = default;

Task<Result<void>> Service::announce() {
    const auto self = impl_;
    const std::string stream(streams::kScaffolder);
    const redis::Membership at{stream, std::string(contracts::reader_group(stream)), self->options.instance};
    auto made = co_await redis::make_group(self->redis, at);
    if (made) made = co_await redis::show_presence(self->redis, at);
    co_return made;
}

Task<Result<void>> Service::run() {
    const auto self = impl_;
    if (const auto removed = remove_abandoned(self->options.scaffolder.work); removed > 0)
        log::info("removed what a killed process left", {{"directories", std::to_string(removed)}});
    self->scope.spawn("scaffolder upkeep", Impl::keep_up(self.get()));
    self->scope.spawn("scaffolder consumer", self->shutdown.watch(self->consumer->run()));
    co_await self->shutdown.wait();
    co_await self->scope.stop();
    self->redis.close();
    co_return self->shutdown.outcome("scaffolder");
}

void Service::stop() { impl_->shutdown.begin(); }

std::vector<redis::ConsumedStream> Service::consumed_streams() {
    return {{std::string(streams::kScaffolder), std::string(contracts::reader_group(streams::kScaffolder)),
             "scaffolder", "ScaffolderMessage"}};
}

}  // namespace codegen::scaffolder
