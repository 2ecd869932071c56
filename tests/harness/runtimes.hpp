// Tests of workers are written once and run against both runtimes.
#pragma once
#include <gtest/gtest.h>

#include <string>

namespace codegen::testing {

class OnEachRuntime : public ::testing::TestWithParam<const char*> {
  protected:
    std::string runtime() const { return GetParam(); }
};

// Use after TEST_P definitions of a fixture derived from OnEachRuntime.
#define CODEGEN_ON_EACH_RUNTIME(fixture)                                               \
    INSTANTIATE_TEST_SUITE_P(Runtime, fixture, ::testing::Values("sandbox", "docker"), \
                             [](const ::testing::TestParamInfo<const char*>& p) { return std::string(p.param); })

// The same with "ordinary", the sandbox of a control plane that does not run as root.
#define CODEGEN_ON_EACH_RUNTIME_AS_ANYBODY(fixture)                                                \
    INSTANTIATE_TEST_SUITE_P(Runtime, fixture, ::testing::Values("sandbox", "docker", "ordinary"), \
                             [](const ::testing::TestParamInfo<const char*>& p) { return std::string(p.param); })

// The same with runtime "process" too, for promises that need no wall.
#define CODEGEN_ON_EVERY_RUNTIME(fixture)                                                                     \
    INSTANTIATE_TEST_SUITE_P(Runtime, fixture, ::testing::Values("sandbox", "docker", "ordinary", "process"), \
                             [](const ::testing::TestParamInfo<const char*>& p) { return std::string(p.param); })

// Makes a commit and reports success.
inline const std::string kCommitAndReport =
    "git add -A && git commit -qm 'work' && orchestrator result --status success --summary done >/dev/null";
// Waits (in the worker) until the test has put a file `go` into the workspace.
inline const std::string kWaitForGo = "while [ ! -e go ]; do sleep 0.05; done; rm -f go; ";

}  // namespace codegen::testing
