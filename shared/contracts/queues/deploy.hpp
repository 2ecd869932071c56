// deploy:queue, and GitHub workflow runs.
#pragma once
#include <map>

#include "shared/contracts/queues/base.hpp"

namespace codegen::contracts {

struct DeployMessage : BaseMessage {
    std::string task_id;
    std::string project_id;
    std::int64_t user_id = 0;
};
BOOST_DESCRIBE_STRUCT(DeployMessage, (BaseMessage), (task_id, project_id, user_id))

struct DeployResult : BaseResult {
    std::optional<std::string> deployed_url;
    std::optional<std::string> server_ip;
    std::optional<std::int64_t> port;
};
BOOST_DESCRIBE_STRUCT(DeployResult, (BaseResult), (deployed_url, server_ip, port))

struct WorkflowTriggerRequest {
    std::string project_id;
    std::string repo_full_name;  // "org/repo"
    std::string workflow_file = "main.yml";
    std::map<std::string, std::string> inputs;

    static constexpr std::array<std::string_view, 2> defaulted{"workflow_file", "inputs"};
};
BOOST_DESCRIBE_STRUCT(WorkflowTriggerRequest, (), (project_id, repo_full_name, workflow_file, inputs))

struct WorkflowStatusResult : BaseResult {
    std::optional<std::int64_t> run_id;
    std::optional<std::string> run_url;
    std::optional<std::string> deployed_url;
    std::optional<WorkflowConclusion> conclusion;
};
BOOST_DESCRIBE_STRUCT(WorkflowStatusResult, (BaseResult), (run_id, run_url, deployed_url, conclusion))

struct WorkflowStatusEvent {
    std::string project_id;
    std::int64_t run_id = 0;
    WorkflowRunStatus status{};
    std::optional<WorkflowConclusion> conclusion;
    std::optional<std::string> current_step;
    Timestamp timestamp = system_now();

    static constexpr std::array<std::string_view, 1> defaulted{"timestamp"};
};
BOOST_DESCRIBE_STRUCT(WorkflowStatusEvent, (), (project_id, run_id, status, conclusion, current_step, timestamp))

}  // namespace codegen::contracts
