// Which run a dispatch started, where GitHub does not say it. No I/O.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"
#include "shared/clients/github/actions.hpp"

namespace codegen::clients::github {

// `runs`: of one workflow, by dispatch. `after`: the newest id that was there before. With a marker: the run whose
// title holds it. Without: the only newer one on `ref`. nullopt: not there yet. Error "conflict": several could be it.
Result<std::optional<WorkflowRun>> choose_run(const std::vector<WorkflowRun>& runs, std::int64_t after,
                                              std::string_view ref, std::string_view marker);

}  // namespace codegen::clients::github
