// engineering start | status | wait | cancel | resume
#include <fmt/format.h>

#include <regex>

#include "packages/orchestrator-cli/command.hpp"
#include "packages/orchestrator-cli/task_report.hpp"
#include "packages/orchestrator-cli/task_start.hpp"
#include "shared/clients/api/pending.hpp"
#include "shared/http/client.hpp"

namespace codegen::cli {
namespace {

struct StartOptions {
    std::string project;
    std::string spec;
    std::string agent;
    std::string agent_command;
    std::string model;
    std::string memory_limit;
    std::string id;
    bool host_session = false;
    int timeout = 0;        // s; 0: the default
    double budget_usd = 0;  // 0: none
    WaitOptions wait;
};

std::expected<contracts::TaskCreate, Failure> task_of(const StartOptions& options) {
    auto spec = read_text("--spec", options.spec, true);
    if (!spec) return std::unexpected(spec.error());
    if (spec->empty()) return std::unexpected(usage("--spec is empty: say what is to be done"));
    auto command = read_text("--agent-command", options.agent_command, false);
    if (!command) return std::unexpected(command.error());
    const auto agent = options.agent.empty() && !command->empty() ? "custom" : options.agent;
    if (agent == "custom" && command->empty())
        return std::unexpected(usage("--agent custom needs --agent-command TEXT or @FILE: what to run"));
    if (agent != "custom" && !command->empty())
        return std::unexpected(usage(fmt::format("--agent-command is only for --agent custom, not for {}", agent)));

    static const std::regex kSize("[1-9][0-9]{0,11}[kKmMgG]?");
    if (!options.memory_limit.empty() && !std::regex_match(options.memory_limit, kSize))
        return std::unexpected(
            usage(fmt::format("--memory-limit is \"{}\": expected a size such as 512m or 2g", options.memory_limit)));

    auto id = task_id_of(options.id);
    if (!id) return std::unexpected(id.error());
    contracts::TaskCreate task;
    task.id = std::move(*id);
    task.project_id = options.project;
    task.type = contracts::TaskType::engineering;
    task.spec = std::move(*spec);
    if (!agent.empty()) task.task_metadata["agent"] = agent;
    if (!command->empty()) task.task_metadata["agent_command"] = *command;
    if (!options.model.empty()) task.task_metadata["model"] = options.model;
    if (options.host_session) task.task_metadata["auth_mode"] = json::name_of(contracts::AuthMode::host_session);
    if (!options.memory_limit.empty()) task.task_metadata["memory_limit"] = options.memory_limit;
    if (options.timeout > 0) task.task_metadata["timeout"] = options.timeout;
    if (options.budget_usd > 0) task.task_metadata["budget_usd"] = options.budget_usd;
    return task;
}

Task<Outcome> start(Invocation invocation, StartOptions options) {
    auto body = task_of(options);
    if (!body) co_return std::unexpected(body.error());
    const auto message = [project = options.project](const contracts::TaskRecord& task) {
        contracts::EngineeringMessage out;
        out.correlation_id = current_correlation_id();
        out.request_id = task.id;  // the task's id doubles as the idempotency key
        out.task_id = task.id;
        out.project_id = project;
        out.user_id = task.user_id.value_or(0);
        return json::write(out);
    };
    co_return co_await start_task(std::move(invocation), std::move(*body), kEngineeringQueue, message, options.wait);
}

Task<Outcome> status(Invocation invocation, std::string task_id) {
    auto report = co_await load_report(invocation.session, task_id);
    if (!report) co_return failed(report.error());
    co_return Answer{report_json(*report),
                     fmt::format("task {} is {}", report->task.id, json::name_of(report->task.status)),
                     report_text(*report)};
}

Task<Outcome> command_workflow(Invocation invocation, std::string task_id, contracts::WorkflowCommandKind kind,
                               std::optional<std::string> guidance) {
    auto task = co_await invocation.session->get<contracts::TaskRecord>("/api/tasks/" + http::percent_encode(task_id));
    if (!task) co_return failed(task.error());
    const auto verb = json::name_of(kind);
    if (contracts::is_final(task->status))
        co_return std::unexpected(Failure{
            "conflict",
            fmt::format("task {} is {} already: there is nothing to {}", task->id, json::name_of(task->status), verb),
            json::to_value(*task), kFailed});
    if (kind == contracts::WorkflowCommandKind::resume && !task->task_metadata.contains("waiting_for"))
        co_return std::unexpected(
            Failure{"conflict", fmt::format("task {} does not wait for a person: nothing to resume", task->id),
                    json::to_value(*task), kFailed});
    contracts::WorkflowCommand command;
    command.command = kind;
    command.task_id = task->id;
    command.user_id = task->user_id.value_or(0);
    command.guidance = std::move(guidance);
    command.correlation_id = current_correlation_id();
    auto sent = co_await invocation.session->keep_and_enqueue(
        clients::kPendingCommands, contracts::streams::kWorkflowCommands, json::write(command));
    if (!sent) co_return failed(sent.error());
    co_return Answer{boost::json::object{{"task_id", task->id}, {"request_id", command.request_id}},
                     fmt::format("{} of task {} requested", verb, task->id),
                     {}};
}

Task<Outcome> resume(Invocation invocation, std::string task_id, std::string guidance) {
    auto text = read_text("--guidance", guidance, true);
    if (!text) co_return std::unexpected(text.error());
    if (text->empty()) co_return std::unexpected(usage("--guidance is empty: say what the agent is to do"));
    co_return co_await command_workflow(std::move(invocation), std::move(task_id),
                                        contracts::WorkflowCommandKind::resume, std::move(*text));
}

void add_start(CLI::App* group, Chosen& chosen) {
    auto options = std::make_shared<StartOptions>();
    auto* command = group->add_subcommand("start", "Start a task: an agent works on the project and commits");
    command->alias("trigger");
    command->add_option("--project", options->project, "The project's id")->required();
    command->add_option("--spec", options->spec, "What is to be done: TEXT, @FILE, or - for standard input")
        ->required();
    command
        ->add_option("--agent", options->agent,
                     "Who does it: " + json::names_of<contracts::AgentType>() + " (default: claude)")
        ->check(CLI::IsMember(json::enum_names<contracts::AgentType>()));
    command->add_option("--agent-command", options->agent_command,
                        "For --agent custom: TEXT or @FILE, run by bash -c; it reads the spec from standard input");
    command->add_option("--model", options->model, "The agent's model");
    command->add_flag("--host-session", options->host_session,
                      "The agent uses the login that the operator keeps for it (HOST_SESSIONS), not a key");
    command->add_option("--memory-limit", options->memory_limit, "The worker's memory, e.g. 2g");
    command->add_option("--timeout", options->timeout, "The agent's time limit in seconds (default 1800)")
        ->check(command_line::above_zero());
    command
        ->add_option("--budget-usd", options->budget_usd,
                     "What the whole task may spend on models, in US dollars; then it is stopped")
        ->check(command_line::above_zero());
    add_task_id_option(command, options->id);
    command->add_flag("--wait", options->wait.wait, "Wait until the task has ended");
    add_wait_options(command, options->wait);
    command->footer(
        "Examples:\n"
        "  orchestrator engineering start --project ID --spec 'Add a health route' --follow\n"
        "  orchestrator engineering start --project ID --spec @task.md --agent custom --agent-command @agent.sh "
        "--wait\n"
        "A value that begins with a dash: --spec=-text");
    command->callback([&chosen, options] {
        chosen = Command{"engineering.start", [options](Invocation i) { return start(std::move(i), *options); }};
    });
}

}  // namespace

void add_engineering_commands(CLI::App& app, Chosen& chosen) {
    auto* group = app.add_subcommand("engineering", "Engineering tasks: start, status, wait, cancel, resume")
                      ->require_subcommand(1);
    add_start(group, chosen);

    auto id = std::make_shared<std::string>();
    const auto with_id = [&](const char* name, const char* help, const std::string& example = "") {
        auto* command = group->add_subcommand(name, help);
        command->footer(fmt::format("Example: orchestrator engineering {} TASK{}", name, example));
        command->add_option("TASK", *id, "The task's id")->required();
        return command;
    };
    with_id("status", "Show one task")->callback([&chosen, id] {
        chosen = Command{"engineering.status", [id](Invocation i) { return status(std::move(i), *id); }};
    });

    auto options = std::make_shared<WaitOptions>();
    auto* wait_command =
        with_id("wait", "Wait for the end: exit 0 completed, 1 failed or cancelled, 6 timed out", " --follow");
    wait_command->add_option("--timeout", options->limit, "Wait at most this many seconds (default 3600)")
        ->check(command_line::above_zero());
    wait_command->add_flag("--follow", options->follow, "Show progress and the agent's events live");
    wait_command->callback([&chosen, id, options] {
        chosen = Command{"engineering.wait",
                         [id, options](Invocation i) { return wait_for_task(std::move(i), *id, *options); }};
    });

    with_id("cancel", "Stop a task and remove its worker")->callback([&chosen, id] {
        chosen = Command{"engineering.cancel", [id](Invocation i) {
                             return command_workflow(std::move(i), *id, contracts::WorkflowCommandKind::cancel, {});
                         }};
    });

    auto guidance = std::make_shared<std::string>();
    auto* resume_command = with_id("resume", "Answer a task that waits for a person", " --guidance 'Use tabs'");
    resume_command->add_option("--guidance", *guidance, "What to tell the agent: TEXT, @FILE, or - for standard input")
        ->required();
    resume_command->callback([&chosen, id, guidance] {
        chosen = Command{"engineering.resume",
                         [id, guidance](Invocation i) { return resume(std::move(i), *id, *guidance); }};
    });
}

}  // namespace codegen::cli
