#include "packages/orchestrator-cli/task_start.hpp"

#include <fmt/format.h>

#include "packages/orchestrator-cli/follow.hpp"
#include "packages/orchestrator-cli/task_report.hpp"
#include "shared/base/ids.hpp"

namespace codegen::cli {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{300};
// A control plane that restarts comes back within this; beyond it the wait ends as "unavailable".
constexpr std::chrono::seconds kMissingLimit{60};
// A role that is just starting makes its group within this.
constexpr std::chrono::seconds kRoleStart{5};

}  // namespace

Task<std::expected<void, Failure>> check_taken(std::shared_ptr<Session> session, StartQueue queue) {
    const auto deadline = steady_clock::now() + kRoleStart;
    for (;;) {
        auto taken = co_await session->is_taken(std::string(queue.stream), std::string(queue.group));
        if (!taken && taken.error().category == ErrorCategory::transient) co_return std::expected<void, Failure>();
        if (!taken) co_return failed(taken.error());
        if (*taken) co_return std::expected<void, Failure>();
        if (steady_clock::now() >= deadline) break;
        co_await async::sleep_for(kPoll);
    }
    co_return std::unexpected(Failure{"no_role",
                                      fmt::format("nobody runs {}, which takes from {}: nothing was started. {}",
                                                  queue.role, queue.stream, queue.way_out),
                                      boost::json::object{{"stream", queue.stream}, {"role", queue.role}},
                                      kUnavailable});
}

const StartQueue kEngineeringQueue{contracts::streams::kEngineering, contracts::streams::kCapabilityWorkersGroup,
                                   "the workflow role", "Start it: orchestratord serve --role workflow"};
const StartQueue kDeployQueue{contracts::streams::kDeploy, contracts::streams::kCapabilityWorkersGroup,
                              "a role that deploys",
                              "This version has none of its own: a program of yours may take these messages, or the "
                              "project's own deploy/deploy.sh"};
const StartQueue kProvisionerQueue{contracts::streams::kProvisioner, contracts::streams::kInfrastructureGroup,
                                   "the infra-service role", "Start it: orchestratord serve --role infra-service"};

// Until the task has ended. Returns kTimedOut's failure with the task's last state when that takes too long.
Task<Outcome> wait_for_task(Invocation invocation, std::string task_id, WaitOptions options) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(options.seconds());
    std::optional<Follower> follower;
    if (options.follow) follower.emplace(invocation.session, invocation.mode, task_id);
    auto last_seen = steady_clock::now();
    while (true) {
        auto report = co_await load_report(invocation.session, task_id);
        const auto now = steady_clock::now();
        if (report) {
            last_seen = now;
        } else if (report.error().category != ErrorCategory::transient || now - last_seen > kMissingLimit) {
            co_return failed(report.error());
        }
        const bool ended = report && contracts::is_final(report->task.status);
        if (follower && report) {
            const auto* worker = report->task.task_metadata.if_contains("worker_id");
            if (worker && worker->is_string()) follower->set_worker(std::string(worker->get_string()));
        }
        if (ended) {
            if (follower) co_await follower->show(std::chrono::milliseconds(0));
            co_return end_of(*report);
        }
        if (now >= deadline)
            co_return std::unexpected(Failure{
                "timeout", fmt::format("task {} has not ended within {} s; it goes on", task_id, options.seconds()),
                report ? report_json(*report) : boost::json::value(), kTimedOut});
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now);
        const auto pause = std::min<std::chrono::milliseconds>(kPoll, left);
        if (follower)
            co_await follower->show(pause);
        else
            co_await async::sleep_for(pause);
    }
}

Task<Outcome> start_task(Invocation invocation, contracts::TaskCreate body, StartQueue queue,
                         std::function<std::string(const contracts::TaskRecord&)> message, WaitOptions wait) {
    if (auto fitting = check_wait(wait); !fitting) co_return std::unexpected(fitting.error());
    auto taken = co_await check_taken(invocation.session, queue);
    if (!taken) co_return std::unexpected(taken.error());
    auto task = co_await invocation.session->send<contracts::TaskRecord>("POST", "/api/tasks", json::write(body));
    if (!task) co_return failed(task.error());
    auto queued = co_await invocation.session->enqueue(std::string(queue.stream), message(*task));
    if (!queued && queued.error().category != ErrorCategory::transient)
        co_return failed(in_context(queued.error(), fmt::format("task {} is stored but not queued", task->id)));
    // The workflow's sweeper finds a stored task by itself.
    const std::string note = queued ? "" : fmt::format(" (the queue is away: {})", queued.error().message);
    const std::string line = fmt::format("task {} queued{}", task->id, note);
    if (!wait.wait && !wait.follow)
        co_return Answer{json::to_value(*task), line,
                         line + fmt::format("\nfollow it: orchestrator engineering wait {} --follow", task->id)};
    if (!invocation.mode.json) print_line(line);
    co_return co_await wait_for_task(std::move(invocation), task->id, wait);
}

std::expected<std::string, Failure> task_id_of(const std::string& given) {
    if (given.empty()) return new_uuid();
    if (!is_uuid(given)) return std::unexpected(usage(fmt::format("--id is \"{}\": expected a UUID", given)));
    return given;
}

void add_task_id_option(CLI::App* command, std::string& id) {
    command->add_option("--id", id, "The task's id, a UUID of yours: the same call again then makes no second task");
}

void add_wait_options(CLI::App* command, WaitOptions& options) {
    command->add_flag("--follow", options.follow, "Show progress and the agent's events live until the task has ended");
    command
        ->add_option("--wait-timeout", options.limit,
                     "With --wait or --follow: at most this many seconds (default 3600)")
        ->check(command_line::above_zero());
}

std::expected<void, Failure> check_wait(const WaitOptions& options) {
    if (options.limit && !options.wait && !options.follow)
        return std::unexpected(usage("--wait-timeout is only for --wait or --follow"));
    return {};
}

}  // namespace codegen::cli
