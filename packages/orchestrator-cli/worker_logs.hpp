// worker logs: the wrapper's log, the agent's transcript or its raw output, whole or as they grow.
#pragma once
#include <string>

#include "packages/orchestrator-cli/command.hpp"

namespace codegen::cli {

struct LogOptions {
    bool transcript = false;
    bool output = false;
    bool follow = false;
    int tail = 200;  // lines; 0: all
};

Task<Outcome> show_logs(Invocation invocation, std::string worker_id, std::string host, LogOptions options);

}  // namespace codegen::cli
