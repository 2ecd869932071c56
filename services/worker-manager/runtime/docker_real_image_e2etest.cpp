// The real worker image with the real agent: base from a registry or from Debian packages, claude from npm. Its images
// are the product's own cache and stay.
#include <gtest/gtest.h>

#include "services/worker-manager/runtime/image_builder.hpp"
#include "services/worker-manager/runtime/temp_worker.hpp"
#include "shared/testing/run.hpp"

namespace codegen::worker_manager {
namespace {
using namespace std::chrono_literals;

TEST(RealWorkerImage, HoldsGitAndClaudeAndTrustsWhatTheHostTrusts) {
    testing::TempState state;
    asio::io_context io;
    auto client = clients::DockerClient::make(io.get_executor()).value();
    ImageBuilder builder(client,
                         {.images = state.images(),
                          .agents = state.agents(),
                          .image_scripts = std::filesystem::path(CODEGEN_SOURCE_DIR) / "images",
                          .agent_scripts = std::filesystem::path(CODEGEN_SOURCE_DIR) / "shared/agents",
                          .base_image = {}},
                         state.installation());
    std::string last;
    auto tag = codegen::testing::run(
        io,
        builder.ensure(
            {.agent_type = contracts::AgentType::claude, .capabilities = {contracts::Capability::git}, .image = {}},
            [&](std::string line) { last = std::move(line); }),
        500s);
    ASSERT_TRUE(tag) << tag.error().message;

    clients::ContainerSpec spec;
    spec.image = *tag;
    spec.entrypoint = {"/bin/bash", "-c",
                       "git --version && ps --version && id agent && test -s /etc/ssl/certs/ca-certificates.crt && "
                       "HOME=/tmp /opt/codegen/agents/claude/claude --version"};
    spec.user = "10001:10001";
    spec.tmpfs = {{"/tmp", 64 << 20, 01777, true}};
    spec.memory_bytes = 1ll << 30;
    spec.cpus = 2;
    spec.processes = 100;
    auto id = codegen::testing::run(io, client.create_container("codegen-test-" + random_token(6), spec));
    ASSERT_TRUE(id) << id.error().message;
    EXPECT_TRUE(codegen::testing::run(io, client.start_container(*id)));
    EXPECT_EQ(codegen::testing::run(io, client.wait_container(*id)).value_or(-1), 0);
    std::string logs = codegen::testing::run(io, client.container_logs(*id, 50)).value_or("");
    EXPECT_THAT(logs, ::testing::HasSubstr("git version"));
    EXPECT_THAT(logs, ::testing::HasSubstr("uid=10001(agent) gid=10001(agent)"));
    EXPECT_THAT(logs, ::testing::HasSubstr("2.1.197"));
    EXPECT_TRUE(codegen::testing::run(io, client.remove_container(*id, true)));
}

}  // namespace
}  // namespace codegen::worker_manager
