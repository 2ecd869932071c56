// engineering:queue, workflow:commands and the answers to their callback streams.
#pragma once
#include <vector>

#include "shared/contracts/queues/base.hpp"

namespace codegen::contracts {

struct EngineeringMessage : BaseMessage {
    std::string task_id;
    std::string project_id;
    std::int64_t user_id = 0;  // users.id
};
BOOST_DESCRIBE_STRUCT(EngineeringMessage, (BaseMessage), (task_id, project_id, user_id))

struct EngineeringResult : BaseResult {
    std::optional<std::vector<std::string>> files_changed;
    std::optional<std::string> commit_sha;
    std::optional<std::string> branch;
};
BOOST_DESCRIBE_STRUCT(EngineeringResult, (BaseResult), (files_changed, commit_sha, branch))

struct WorkflowCommand : BaseMessage {
    WorkflowCommandKind command{};
    std::string task_id;
    std::int64_t user_id = 0;
    std::optional<std::string> guidance;  // for resume: a person's answer to a blocked task
};
BOOST_DESCRIBE_STRUCT(WorkflowCommand, (BaseMessage), (command, task_id, user_id, guidance))

}  // namespace codegen::contracts
