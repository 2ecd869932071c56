#include "services/worker-manager/runtime/commands_beside.hpp"

#include <fmt/format.h>

#include <iterator>

namespace codegen::worker_manager {
namespace {

Task<void> keep(Task<Result<process::Outcome>> running, std::optional<Result<process::Outcome>>* out) {
    auto outcome = co_await std::move(running);
    out->emplace(std::move(outcome));
}

Task<void> wait(asio::steady_timer* timer) { co_await timer->async_wait(async::use_tuple); }

}  // namespace

std::shared_ptr<CommandsBeside::Commands> CommandsBeside::of(const std::string& worker_id) {
    std::erase_if(commands_, [](const auto& entry) { return entry.second.expired(); });
    auto& known = commands_[worker_id];
    auto commands = known.lock();
    if (!commands) known = commands = std::make_shared<Commands>(executor_);
    return commands;
}

Task<Result<process::Outcome>> CommandsBeside::run(std::string worker_id, process::Spec spec, process::Limits limits) {
    const auto commands = of(worker_id);
    const auto removed = [worker_id] {
        return fail(ErrorCategory::transient, "cancelled",
                    fmt::format("worker {} is removed; the command was ended with it", worker_id));
    };
    if (commands->closed > 0) co_return removed();
    struct Running {
        std::shared_ptr<Commands> of;
        explicit Running(std::shared_ptr<Commands> commands) : of(std::move(commands)) { ++of->running; }
        Running(const Running&) = delete;
        ~Running() {
            --of->running;
            of->changed.cancel();
        }
    } running(commands);
    std::optional<Result<process::Outcome>> outcome;
    co_await async::first_of(keep(process::run(std::move(spec), limits), &outcome), wait(&commands->closing));
    if (!outcome || (commands->closed > 0 && !outcome->has_value())) co_return removed();
    co_return std::move(*outcome);
}

std::shared_ptr<CommandsBeside::Closed> CommandsBeside::close(const std::string& worker_id) {
    return std::make_shared<Closed>(of(worker_id));
}

Task<void> CommandsBeside::ended(std::string worker_id) {
    const auto commands = of(worker_id);
    while (commands->running > 0) co_await commands->changed.async_wait(async::use_tuple);
}

std::vector<std::string> shell_beside(std::vector<std::string> argv, std::int64_t max_processes,
                                      std::int64_t data_bytes) {
    std::string script;
    // bash and others call it -u, dash calls it -p.
    if (max_processes > 0)
        script += fmt::format("ulimit -u {0} 2>/dev/null || ulimit -p {0} || exit 126; ", max_processes);
    if (data_bytes > 0) script += fmt::format("ulimit -d {} || exit 126; ", data_bytes / 1024);
    std::vector<std::string> out{"/bin/sh", "-c", script + "exec \"$@\" 2>&1", "sh"};
    std::move(argv.begin(), argv.end(), std::back_inserter(out));
    return out;
}

}  // namespace codegen::worker_manager
