#include "services/workflow/prompt.hpp"

#include <fmt/format.h>

namespace codegen::workflow {

std::string developer_instructions(const Run& run) {
    return fmt::format(R"(# Rules for this task

You work alone, without anybody to ask, on branch `{0}` of the repository in the current directory{1}.

- Do what the prompt asks, completely, and nothing else.
- Commit your work with git on the current branch. What is not committed is lost. Do not push: your commits are
  collected, checked and pushed after you have ended.
- At the very end report the result, once, with one of:
  - `orchestrator result --status success --summary "what you did"` (or `--status failure`), or
  - a last message that holds `<result>{{"status":"success","summary":"what you did"}}</result>`.
- `success` without a new commit counts only with `"data":{{"no_changes":true}}`: nothing had to be changed.
- If only a person can decide how to go on, report `failure` with `"data":{{"blocked":true}}` and your question as the
  summary.
)",
                       branch_of(run),
                       run.data.project_name ? fmt::format(" (project {})", *run.data.project_name) : "") +
           (run.data.tests.command
                ? fmt::format("- The project's own tests must pass on your commit. They are run there, in a clean "
                              "worker, with:\n\n      {}\n",
                              *run.data.tests.command)
                : "");
}

}  // namespace codegen::workflow
