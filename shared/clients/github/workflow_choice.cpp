#include "shared/clients/github/workflow_choice.hpp"

#include <fmt/format.h>

namespace codegen::clients::github {
namespace {

bool shows(const WorkflowRun& run, std::string_view marker) {
    return run.display_title.value_or("").contains(marker) || run.name.value_or("").contains(marker);
}

// "refs/heads/main" or "main"
bool is_on(const WorkflowRun& run, std::string_view ref) {
    for (const std::string_view prefix : {"refs/heads/", "refs/tags/"})
        if (ref.starts_with(prefix)) ref.remove_prefix(prefix.size());
    return !run.head_branch || *run.head_branch == ref;
}

}  // namespace

Result<std::optional<WorkflowRun>> choose_run(const std::vector<WorkflowRun>& runs, std::int64_t after,
                                              std::string_view ref, std::string_view marker) {
    std::vector<const WorkflowRun*> candidates;
    for (const auto& run : runs) {
        if (run.id <= after) continue;
        if (marker.empty() ? is_on(run, ref) : shows(run, marker)) candidates.push_back(&run);
    }
    if (candidates.empty()) return std::nullopt;
    if (candidates.size() == 1) return std::optional(*candidates.front());
    return fail(ErrorCategory::permanent, "conflict",
                fmt::format("{} runs were started at once ({} and {}), and nothing tells which is ours; let the "
                            "workflow show an input in its run-name and name it as the dispatch's marker",
                            candidates.size(), candidates[0]->id, candidates[1]->id));
}

}  // namespace codegen::clients::github
