#include "packages/worker-wrapper/host_process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace codegen::wrapper {
namespace {

using ::testing::ElementsAre;

contracts::WrapperConfig config() {
    contracts::WrapperConfig out;
    out.workspace = "/s/workers/w/workspace";
    out.home = "/s/workers/w/home";
    out.gateway_directory = "/s/workers/w/gateway";
    out.process = contracts::ProcessConfig{.temporary = "/s/workers/w/tmp", .cgroups = {}};
    return out;
}

TEST(HostProcess, PlacesAreTheHostsOwn) {
    LaunchPlan plan;
    plan.argv = {"/workspace/run", "-c", "cat /workspace/x"};
    plan.environment = {{"HOME", "/home/agent"},
                        {"API_URL", "http+unix:///run/codegen/http.sock"},
                        {"CODEGEN_GATEWAY", "/run/codegen"},
                        {"TMPDIR", "/tmp"},
                        {"PATH", "/s/bin:/home/agent/bin:/usr/bin"},
                        {"OTHER", "/my/workspace/is/mine and /workspaces too"}};
    plan.directory = "/workspace";
    plan.files = {{"/home/agent/.claude/CLAUDE.md", "see /workspace"}};
    plan.session = PlannedSession{"/home/agent/.claude/projects/-workspace", "id.jsonl", {}, {}};
    const auto here = at_host_paths(plan, config());
    EXPECT_THAT(here.argv, ElementsAre("/s/workers/w/workspace/run", "-c", "cat /workspace/x"));
    EXPECT_EQ(here.environment.at("HOME"), "/s/workers/w/home");
    EXPECT_EQ(here.environment.at("API_URL"), "http+unix:///s/workers/w/gateway/http.sock");
    EXPECT_EQ(here.environment.at("CODEGEN_GATEWAY"), "/s/workers/w/gateway");
    EXPECT_EQ(here.environment.at("TMPDIR"), "/s/workers/w/tmp");
    EXPECT_EQ(here.environment.at("PATH"), "/s/bin:/s/workers/w/home/bin:/usr/bin");
    EXPECT_EQ(here.environment.at("OTHER"), "/my/workspace/is/mine and /workspaces too");
    EXPECT_EQ(here.directory, "/s/workers/w/workspace");
    EXPECT_EQ(here.files[0].path, "/s/workers/w/home/.claude/CLAUDE.md");
    EXPECT_EQ(here.files[0].content, "see /workspace");
    EXPECT_EQ(here.session->folder, "/s/workers/w/home/.claude/projects/-s-workers-w-workspace");
}

TEST(HostProcess, AStateDirectoryBelowAKnownNameIsNotTranslatedTwice) {
    auto odd = config();
    odd.workspace = "/workspace/state/workers/w/workspace";
    LaunchPlan plan;
    plan.directory = "/workspace";
    plan.environment["PWD"] = "/workspace/sub";
    const auto here = at_host_paths(plan, odd);
    EXPECT_EQ(here.directory, "/workspace/state/workers/w/workspace");
    EXPECT_EQ(here.environment.at("PWD"), "/workspace/state/workers/w/workspace/sub");
}

TEST(HostProcess, LimitsBecomeThoseOfTheProgramThatIsStarted) {
    SpawnSpec spec;
    limit_host_process(spec, {.temporary = {}, .cgroups = {"/c"}, .memory_bytes = 5, .processes = 7});
    EXPECT_EQ(spec.max_data, 5u);
    EXPECT_EQ(spec.max_processes, 7u);
    EXPECT_THAT(spec.cgroups, ElementsAre("/c"));
    EXPECT_TRUE(spec.die_with_parent);
    SpawnSpec unlimited;
    limit_host_process(unlimited, {});
    EXPECT_FALSE(unlimited.max_data || unlimited.max_processes);
}

}  // namespace
}  // namespace codegen::wrapper
