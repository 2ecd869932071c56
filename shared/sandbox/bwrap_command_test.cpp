#include "shared/sandbox/bwrap_command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace codegen::sandbox {
namespace {
using ::testing::Contains;

bool in_order(const std::vector<std::string>& argv, std::vector<std::string> words) {
    return !std::ranges::search(argv, words).empty();
}

TEST(BwrapCommand, ShowsTheWorkerAndNothingElse) {
    contracts::WrapperConfig config;
    config.worker_id = "dev-1";
    config.gateway_directory = "/s/w/gateway";
    config.state_directory = "/s/w/state";
    config.workspace = "/s/w/workspace";
    config.home = "/s/w/home";
    config.agent_uid = 200007;
    config.agent_gid = 200008;
    config.sandbox = contracts::SandboxConfig{};
    config.sandbox->mounts = {{"/s/bin", "/opt/codegen/bin"}};
    config.sandbox->seccomp_filter = "/s/w/state/seccomp.bpf";
    auto argv = bwrap_command(config, {"sh", "-c", "x"});
    EXPECT_EQ(argv.front(), "/usr/bin/bwrap");
    for (const char* name : {"user", "pid", "net", "ipc", "uts"})
        EXPECT_THAT(argv, Contains(std::string("--unshare-") + name));
    EXPECT_TRUE(in_order(argv, {"--uid", "200007", "--gid", "200008"}));
    EXPECT_TRUE(in_order(argv, {"--cap-drop", "ALL"}));
    EXPECT_TRUE(in_order(argv, {"--seccomp", "9"}));
    EXPECT_TRUE(in_order(argv, {"--ro-bind", "/s/w/gateway", "/run/codegen", "--tmpfs", "/run/codegen/wrapper"}));
    EXPECT_TRUE(in_order(argv, {"--bind", "/s/w/workspace", "/workspace"}));
    EXPECT_TRUE(in_order(argv, {"--ro-bind", "/s/bin", "/opt/codegen/bin"}));
    EXPECT_TRUE(in_order(argv, {"--remount-ro", "/", "--", "sh", "-c", "x"}));
    EXPECT_THAT(argv, Contains("--die-with-parent"));
    EXPECT_THAT(argv, ::testing::Not(Contains("/s/w/state")));
    config.sandbox->seccomp_filter.reset();
    EXPECT_THAT(bwrap_command(config, {"true"}), ::testing::Not(Contains("--seccomp")));
}

}  // namespace
}  // namespace codegen::sandbox
