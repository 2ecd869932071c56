#include "services/workflow/sweeper.hpp"

#include <fmt/format.h>

#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"

namespace codegen::workflow {
namespace {

constexpr int kAtOnce = 200;  // runs a sweep; the rest has its turn at the next one
constexpr int kForgottenAtOnce = 1000;

void report(std::string_view what, const Result<void>& done) {
    if (!done && done.error().code != "cancelled") log::warning(what, {{"error", done.error().message}});
}

}  // namespace

Task<void> Sweeper::run() {
    co_await asio::this_coro::throw_if_cancelled(false);
    for (bool going = true; going;) {
        auto reminded = co_await remind_due();
        report("sweep of waiting runs failed", reminded);
        auto obeyed = co_await intake_.forgotten_commands(options_.clock() - options_.queued_for);
        report("sweep of commands failed", obeyed);
        auto started = co_await start_forgotten();
        report("sweep of queued tasks failed", started);
        auto pruned = co_await store_.prune_seen(options_.clock() - options_.keep_seen);
        report("old messages cannot be forgotten", pruned);
        auto forgotten = co_await store_.prune_runs(options_.clock() - options_.keep_runs, kForgottenAtOnce);
        if (!forgotten) log::warning("old runs cannot be forgotten", {{"error", forgotten.error().message}});
        co_await async::sleep_for(options_.interval);
        const auto state = co_await asio::this_coro::cancellation_state;
        going = state.cancelled() == asio::cancellation_type::none;
    }
}

Task<Result<void>> Sweeper::remind_due() {
    const auto now = options_.clock();
    auto runs = co_await store_.due(now, kAtOnce);
    if (!runs) co_return std::unexpected(runs.error());
    for (auto& run : *runs) {
        const bool overdue = run.deadline && *run.deadline <= now;
        Event event = overdue ? Event(DeadlinePassed{run.request_id}) : Event(ResendDue{});
        auto reminded = co_await runner_.remind(std::move(run), std::move(event));
        if (!reminded) co_return std::unexpected(reminded.error());
    }
    co_return Result<void>();
}

Task<Result<void>> Sweeper::start_forgotten() {
    std::optional<std::string> target =
        fmt::format("/api/tasks?status=queued&type=engineering&limit={}", options_.page);
    while (target) {
        auto page = co_await api_.page(std::move(*target));
        if (!page) co_return std::unexpected(page.error());
        auto list = json::parse_any(page->body);
        if (!list || !list->is_array())
            co_return fail(ErrorCategory::permanent, "invalid", "answer of the API: the list of tasks is not an array");
        for (const auto& item : list->get_array()) {
            auto task = json::from_value<contracts::TaskRecord>(item);
            if (!task) co_return std::unexpected(in_context(invalid(task.error()), "answer of the API: list of tasks"));
            auto started = co_await start_if_forgotten(std::move(*task));
            if (!started) co_return std::unexpected(started.error());
        }
        target = std::move(page->next);
    }
    co_return Result<void>();
}

Task<Result<void>> Sweeper::start_if_forgotten(contracts::TaskRecord task) {
    if (task.created_at > options_.clock() - options_.queued_for) co_return Result<void>();
    auto run = co_await store_.by_task(task.id);
    if (!run) co_return std::unexpected(run.error());
    if (*run) co_return Result<void>();
    auto started = co_await runner_.start(std::move(task), new_uuid(), new_uuid(), {}, Begin{});
    if (!started) co_return std::unexpected(started.error());
    co_return Result<void>();
}

}  // namespace codegen::workflow
