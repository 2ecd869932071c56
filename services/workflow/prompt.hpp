// What a developer agent is told besides its task.
#pragma once
#include <string>

#include "services/workflow/run.hpp"

namespace codegen::workflow {

// The text of CLAUDE.md / AGENTS.md for this run. The prompt itself stays the spec, byte for byte.
std::string developer_instructions(const Run& run);

}  // namespace codegen::workflow
