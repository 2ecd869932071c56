// deploy start | status
#include <fmt/format.h>

#include "packages/orchestrator-cli/command.hpp"
#include "packages/orchestrator-cli/task_report.hpp"
#include "packages/orchestrator-cli/task_start.hpp"

namespace codegen::cli {
namespace {

struct StartOptions {
    std::string project;
    std::string id;
    WaitOptions wait;
};

Task<Outcome> start(Invocation invocation, StartOptions options) {
    auto id = task_id_of(options.id);
    if (!id) co_return std::unexpected(id.error());
    contracts::TaskCreate body;
    body.id = std::move(*id);
    body.project_id = options.project;
    body.type = contracts::TaskType::deploy;
    const auto message = [project = options.project](const contracts::TaskRecord& task) {
        contracts::DeployMessage out;
        out.correlation_id = current_correlation_id();
        out.request_id = task.id;  // the task's id doubles as the idempotency key
        out.task_id = task.id;
        out.project_id = project;
        out.user_id = task.user_id.value_or(0);
        return json::write(out);
    };
    co_return co_await start_task(std::move(invocation), std::move(body), kDeployQueue, message, options.wait);
}

Task<Outcome> status(Invocation invocation, std::string task_id) {
    auto report = co_await load_report(invocation.session, task_id);
    if (!report) co_return failed(report.error());
    if (report->task.type != contracts::TaskType::deploy)
        co_return std::unexpected(Failure{"not_found",
                                          fmt::format("task {} is no deployment but of type {}: orchestrator "
                                                      "engineering status {}",
                                                      report->task.id, json::name_of(report->task.type), task_id),
                                          {},
                                          kNotFound});
    co_return Answer{report_json(*report),
                     fmt::format("task {} is {}", report->task.id, json::name_of(report->task.status)),
                     report_text(*report)};
}

}  // namespace

void add_deploy_commands(CLI::App& app, Chosen& chosen) {
    auto* group = app.add_subcommand("deploy", "Deployments: start, status")->require_subcommand(1);
    auto options = std::make_shared<StartOptions>();
    auto* start_command = group->add_subcommand("start", "Deploy a project");
    start_command->add_option("--project", options->project, "The project's id")->required();
    add_task_id_option(start_command, options->id);
    start_command->add_flag("--wait", options->wait.wait, "Wait until the task has ended");
    add_wait_options(start_command, options->wait);
    start_command->footer("Example: orchestrator deploy start --project ID --wait");
    start_command->callback([&chosen, options] {
        chosen = Command{"deploy.start", [options](Invocation i) { return start(std::move(i), *options); }};
    });

    auto id = std::make_shared<std::string>();
    auto* status_command = group->add_subcommand("status", "Show one deployment");
    status_command->add_option("TASK", *id, "The task's id")->required();
    status_command->footer("Example: orchestrator deploy status TASK");
    status_command->callback(
        [&chosen, id] { chosen = Command{"deploy.status", [id](Invocation i) { return status(std::move(i), *id); }}; });
}

}  // namespace codegen::cli
