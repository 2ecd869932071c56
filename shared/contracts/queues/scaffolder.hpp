// scaffolder:queue and scaffolder:results.
#pragma once
#include <vector>

#include "shared/contracts/queues/base.hpp"

namespace codegen::contracts {

struct ScaffolderMessage : BaseMessage {
    std::string project_id;
    std::string project_name;
    std::vector<ServiceModule> modules;
    std::optional<std::string> repo_full_name;
    std::optional<std::string> description;
};
BOOST_DESCRIBE_STRUCT(ScaffolderMessage, (BaseMessage),
                      (project_id, project_name, modules, repo_full_name, description))

struct ScaffolderResult : BaseResult {
    std::string project_id;
    std::string repo_url;
    std::int64_t files_generated = 0;

    static constexpr std::array<std::string_view, 1> defaulted{"files_generated"};
};
BOOST_DESCRIBE_STRUCT(ScaffolderResult, (BaseResult), (project_id, repo_url, files_generated))

}  // namespace codegen::contracts
