// Asks the worker-manager for a worker whose workspace is the project's repository.
#include <fmt/format.h>

#include "services/workflow/judgement.hpp"
#include "services/workflow/nodes/node.hpp"
#include "services/workflow/prompt.hpp"

namespace codegen::workflow {
namespace {

// docs/protocols.md, "The orchestrator command": profile DEVELOPER.
const std::vector<std::string> kDeveloperCommands{"project.get", "project.list", "engineering.status", "respond",
                                                  "result"};

std::string worker_name(const Run& run) { return fmt::format("dev-{}-{}", run.task_id.substr(0, 8), run.attempt); }

contracts::AgentType agent_type(const Run& run) {
    return json::enum_from<contracts::AgentType>(text_setting(run, "agent").value_or("claude"))
        .value_or(contracts::AgentType::claude);
}

contracts::WorkerConfig worker_config(const Run& run) {
    contracts::WorkerConfig config;
    config.name = run.data.worker_id;
    config.worker_type = contracts::WorkerType::developer;
    config.agent_type = agent_type(run);
    config.instructions = developer_instructions(run);
    config.allowed_commands = kDeveloperCommands;
    config.capabilities = {contracts::Capability::git};
    config.memory_limit = text_setting(run, "memory_limit");
    config.pool = false;
    if (const auto command = text_setting(run, "agent_command");
        command && config.agent_type == contracts::AgentType::custom)
        config.command = {"bash", "-c", *command};
    return config;
}

// Settings nobody could run: said before a worker is made.
std::optional<std::string> unusable_settings(const Run& run) {
    const auto agent = text_setting(run, "agent");
    if (agent && !json::enum_from<contracts::AgentType>(*agent))
        return fmt::format("task_metadata.agent: unknown value \"{}\", expected one of {}", *agent,
                           json::names_of<contracts::AgentType>());
    if (agent_type(run) == contracts::AgentType::custom && !text_setting(run, "agent_command"))
        return "task_metadata.agent_command: missing; agent \"custom\" needs the command to run";
    return {};
}

void enter(Mover& mover) {
    auto& data = mover.run.data;
    if (const auto problem = unusable_settings(mover.run)) return mover.fail(Reason::infrastructure, *problem);
    data.worker_id = worker_name(mover.run);
    data.worker_exists = true;
    data.task_metadata["worker_id"] = data.worker_id;
    mover.patch_task({{"task_metadata", data.task_metadata}});
    mover.progress(contracts::ProgressType::progress, "create_worker", "starting worker " + data.worker_id, 10);
}

void request(Mover& mover) {
    const auto& run = mover.run;
    contracts::CreateWorkerCommand command;
    command.request_id = run.request_id;
    command.correlation_id = run.data.correlation_id;
    command.timestamp = mover.context.now;
    command.config = worker_config(run);
    command.context = {{"task_id", run.task_id}, {"project_id", run.data.project_id}};
    if (run.data.user_id != 0) command.context["user_id"] = std::to_string(run.data.user_id);
    if (const auto model = text_setting(run, "model")) command.context["model"] = *model;
    contracts::WorkspaceSpec workspace;
    workspace.repo_url = run.data.repository_url.value_or("");
    workspace.branch = branch_of(run);
    command.workspace = workspace;
    mover.command(json::write(command));
}

void answer(Mover& mover, const Event& event) {
    const auto* created = std::get_if<WorkerCreated>(&event);
    if (!created) return;
    if (created->response.success) return mover.go(Node::develop);
    mover.run.data.worker_exists = false;
    const auto& error = created->response.error;
    mover.fail(reason_of_refusal(error),
               error.value_or("create worker " + mover.run.data.worker_id + ": refused without a reason"));
}

void overdue(Mover& mover) {
    mover.fail(Reason::infrastructure, "no worker was ready within the time limit; is a worker-manager running?");
}

}  // namespace

const NodeDefinition kCreateWorker{Node::create_worker,
                                   [](const Run&, const Timings& timings) -> std::optional<std::chrono::milliseconds> {
                                       return timings.create_worker;
                                   },
                                   enter,
                                   request,
                                   answer,
                                   overdue};

}  // namespace codegen::workflow
