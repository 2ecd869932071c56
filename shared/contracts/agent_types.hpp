// The kinds of agents, as the wire names them. A name here and the folder shared/agents/<name>/ are all of an agent:
// the wrapper, the images, the settings, the commands and `make run` take it from there (shared/agents/agent.hpp).
#pragma once

#define CODEGEN_AGENT_TYPES (claude)(factory)(codex)(custom)
