// What must hold when a run with faults is over (docs/guarantees.md, "Invariants"), read from the database, the API and
// the machine, not from what the parts say about themselves.
#pragma once
#include <string>
#include <vector>

#include "tests/harness/control_plane.hpp"

namespace codegen::testing {

// Fails the test for each breach, naming the invariant:
//   I1 every task that the API acknowledged is completed, failed or cancelled
//   I2 one accepted result and one execution row for each request, and no execution without a result of its own
//   I4 no body, process, directory or key of a worker is left but its status hash
//   I6 no more executions than tasks and `kills` together
// Waits for the cleaning that follows a task's end.
void check_history(ControlPlane& plane, const std::vector<std::string>& tasks, int kills);

// Bodies (containers, wrappers) that belong to this control plane.
std::vector<std::string> bodies_of(ControlPlane& plane);

}  // namespace codegen::testing
