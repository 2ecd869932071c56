// Asks the worker-manager for a worker whose workspace is the project's repository - or, when a conversation goes on,
// for the worker that had it: one that still lives is left as it is, else its kept workspace gets a new body.
#include <fmt/format.h>

#include "services/workflow/judgement.hpp"
#include "services/workflow/nodes/node.hpp"
#include "services/workflow/prompt.hpp"
#include "shared/contracts/worker_names.hpp"

namespace codegen::workflow {
namespace {

// docs/protocols.md, "The orchestrator command": profile DEVELOPER.
const std::vector<std::string> kDeveloperCommands{"project.get", "project.list", "engineering.status", "respond",
                                                  "result"};

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
    config.memory_limit = run.data.memory_limit ? std::optional(std::to_string(*run.data.memory_limit))
                                                : text_setting(run, "memory_limit");
    config.cpu_limit = number_setting(run, "cpu_limit");
    config.image = text_setting(run, "image");
    if (const auto auth = text_setting(run, "auth_mode"))
        config.auth_mode = json::enum_from<contracts::AuthMode>(*auth);
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
    const auto auth = text_setting(run, "auth_mode");
    if (auth && !json::enum_from<contracts::AuthMode>(*auth))
        return fmt::format("task_metadata.auth_mode: unknown value \"{}\", expected one of {}", *auth,
                           json::names_of<contracts::AuthMode>());
    if (agent_type(run) == contracts::AgentType::custom && !text_setting(run, "agent_command"))
        return "task_metadata.agent_command: missing; agent \"custom\" needs the command to run";
    const auto* budget = run.data.task_metadata.if_contains("budget_usd");
    if (budget && !(budget->is_number() && budget->to_number<double>() > 0))
        return fmt::format("task_metadata.budget_usd: {}: expected a number of US dollars above 0",
                           boost::json::serialize(*budget).substr(0, 80));
    return {};
}

void enter(Mover& mover) {
    auto& data = mover.run.data;
    if (const auto problem = unusable_settings(mover.run)) return mover.fail(Reason::infrastructure, *problem);
    if (data.continuing)
        return mover.progress(contracts::ProgressType::progress, "create_worker",
                              "going on in worker " + data.worker_id, 55);
    data.worker_id = contracts::developer_name(mover.run.task_id, mover.run.attempt);
    data.worker_exists = true;
    data.task_metadata["worker_id"] = data.worker_id;
    mover.patch_task({{"task_metadata", data.task_metadata}});
    mover.progress(contracts::ProgressType::progress, "create_worker", "starting worker " + data.worker_id, 10);
}

void request(Mover& mover) {
    const auto& run = mover.run;
    auto command = create_command(mover, worker_config(run));
    if (const auto model = text_setting(run, "model")) command.context["model"] = *model;
    if (run.data.continuing) {
        command.workspace->resume = true;
        if (run.data.session_id) command.context["session_id"] = *run.data.session_id;
    }
    mover.command(json::write(command));
}

void answer(Mover& mover, const Event& event) {
    const auto* created = std::get_if<WorkerCreated>(&event);
    if (!created) return;
    auto& data = mover.run.data;
    if (created->response.success) {
        data.workspace_kept = false;
        return mover.go(Node::develop);
    }
    // Of a conversation that cannot go on, the kept workspace is left to be removed.
    if (!data.continuing) data.worker_exists = false;
    const auto& error = created->response.error;
    mover.fail_attempt(reason_of_refusal(error),
                       error.value_or("create worker " + data.worker_id + ": refused without a reason"));
}

void overdue(Mover& mover) {
    mover.fail_attempt(Reason::infrastructure,
                       "no worker was ready within the time limit; is a worker-manager running?");
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
