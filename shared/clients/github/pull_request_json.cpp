#include "shared/clients/github/pull_request.hpp"
#include "shared/json/instantiate.hpp"

namespace codegen::clients::github {

Checks verdict_of(const std::vector<CheckRun>& runs, std::vector<std::string>* failing) {
    if (runs.empty()) return Checks::none;
    bool pending = false;
    for (const auto& run : runs) {
        const auto conclusion = run.conclusion.value_or("");
        if (run.status != "completed")
            pending = true;
        else if (conclusion != "success" && conclusion != "neutral" && conclusion != "skipped")
            failing->push_back(run.name);
    }
    if (!failing->empty()) return Checks::failed;
    return pending ? Checks::pending : Checks::passed;
}

}  // namespace codegen::clients::github

CODEGEN_JSON_INSTANTIATE(codegen::clients::github::PullRequest)
CODEGEN_JSON_INSTANTIATE(codegen::clients::github::CheckRun)
CODEGEN_JSON_INSTANTIATE(codegen::clients::github::MergeAnswer)
