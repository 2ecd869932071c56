// Real processes with uids of their own where this runs as root. The wrapper is a script.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "services/worker-manager/runtime/host_process_runtime.hpp"
#include "services/worker-manager/runtime/temp_worker.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/tree.hpp"
#include "shared/testing/run.hpp"

namespace codegen::worker_manager {
namespace {
using namespace std::chrono_literals;
using testing::content;
using ::testing::HasSubstr;
using testing::TempState;

class HostProcessRuntimeTest : public ::testing::Test {
  protected:
    std::unique_ptr<HostProcessRuntime> make(bool scripted_only = false) {
        return std::make_unique<HostProcessRuntime>(
            io_.get_executor(),
            SandboxOptions{.installation = state_.installation(),
                           .workers = state_.workers(),
                           .agents = state_.agents(),
                           .agent_scripts = std::filesystem::path(CODEGEN_SOURCE_DIR) / "shared/agents"},
            scripted_only);
    }
    void TearDown() override { EXPECT_TRUE(run(make()->remove("w1", 0ms))); }
    template <class T>
    T run(Task<T> task) {
        return codegen::testing::run(io_, std::move(task), 30s);
    }
    bool until(const std::function<bool()>& condition) {
        for (auto deadline = std::chrono::steady_clock::now() + 10s; !condition();) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            io_.restart();
            io_.run_for(2ms);
        }
        return true;
    }
    static Task<void> keep(std::vector<BodyEnd>* ends, BodyEnd end) {
        ends->push_back(std::move(end));
        co_return;
    }
    static bool runs(int pid) {
        const auto entry = process::read_process(pid);
        return entry && entry->alive();
    }
    asio::io_context io_;
    TempState state_;
};

TEST_F(HostProcessRuntimeTest, SaysWhatTheWrapperStarts) {
    auto runtime = make();
    auto usable = run(runtime->probe());
    ASSERT_TRUE(usable) << usable.error().message;
    EXPECT_EQ(runtime->name(), "process");
    state_.wrapper_script("exec sleep 600");
    const auto identity = runtime->agent_identity("w1");
    auto body = run(runtime->start(state_.body("w1", identity)));
    ASSERT_TRUE(body) << body.error().message;
    const auto text = content(state_.workers() / "w1" / "state" / "config.json");
    const auto config = json::parse<contracts::WrapperConfig>(text);
    ASSERT_TRUE(config) << text;
    EXPECT_FALSE(config->sandbox);
    ASSERT_TRUE(config->process);
    EXPECT_EQ(config->workspace, (state_.workers() / "w1" / "workspace").string());
    EXPECT_EQ(config->path.front(), state_.programs().string());
    EXPECT_EQ(config->loopback_port, 0);
    if (config->process->cgroups.empty()) EXPECT_EQ(config->process->memory_bytes, 64 << 20);
    auto said = run(runtime->run_inside("w1", {"/bin/sh", "-c", "id -u; pwd; echo \"$CODEGEN_GATEWAY\""}, 10s));
    ASSERT_TRUE(said) << said.error().message;
    EXPECT_EQ(said->second, std::to_string(identity.uid) + "\n" + config->workspace + "\n" +
                                (state_.workers() / "w1" / "gateway").string() + "\n");
}

TEST_F(HostProcessRuntimeTest, ACommandInsideHasTheWorkersLimitsAndEndsWithIt) {
    auto runtime = make();
    state_.wrapper_script("sleep 600");
    auto body = run(runtime->start(state_.body("w1", runtime->agent_identity("w1"))));
    ASSERT_TRUE(body) << body.error().message;
    const auto mark = testing::sleep_mark();
    async::Scope commands(io_.get_executor());
    std::optional<Result<std::pair<int, std::string>>> said;
    commands.spawn("command",
                   testing::keep(runtime->run_inside("w1", {"sleep", mark}, std::chrono::minutes(10)), &said));
    ASSERT_TRUE(until([&] { return !testing::sleepers(mark).empty(); }));
    for (const std::filesystem::path group : recorded_cgroups({state_.workers() / "w1"}))
        EXPECT_THAT("\n" + content(group / "cgroup.procs"),
                    HasSubstr("\n" + std::to_string(testing::sleepers(mark)[0]) + "\n"))
            << group;
    ASSERT_TRUE(run(runtime->remove("w1", 0ms)));
    EXPECT_TRUE(testing::sleepers(mark).empty());
    ASSERT_TRUE(until([&] { return said.has_value(); }));
    ASSERT_FALSE(*said);
    EXPECT_EQ(said->error().code, "cancelled");
    run(commands.stop());
}

// The wrapper is killed: nothing dies with it by itself, not what left its session either.
TEST_F(HostProcessRuntimeTest, NothingOutlivesAKilledWrapper) {
    auto runtime = make();
    const auto identity = runtime->agent_identity("w1");
    state_.wrapper_script("sleep 600");
    auto body = run(runtime->start(state_.body("w1", identity)));
    ASSERT_TRUE(body) << body.error().message;
    // As the agent would be, but in nobody's tree: with its uid and its environment.
    process::Spec spec;
    spec.argv = {"/bin/sh", "-c", "while :; do sleep 600 & wait; done"};
    spec.environment = {{"PATH", "/usr/bin:/bin"}, {"CODEGEN_GATEWAY", (state_.workers() / "w1" / "gateway").string()}};
    if (::geteuid() == 0) spec.user = {identity.uid, identity.gid};
    auto agent = process::start(io_.get_executor(), std::move(spec), state_.programs() / "agent.log");
    ASSERT_TRUE(agent) << agent.error().message;
    const int pid = (*agent)->pid();
    ASSERT_TRUE(until([&] { return runs(pid); }));
    std::vector<BodyEnd> ends;
    async::Scope watch(io_.get_executor());
    watch.spawn("watch", runtime->watch([&ends](BodyEnd end) { return keep(&ends, std::move(end)); }));
    const auto file = read_pid_file({state_.workers() / "w1"});
    ASSERT_TRUE(file);
    ::kill(file->pid, SIGKILL);
    ASSERT_TRUE(until([&] { return ends.size() == 1; }));
    EXPECT_FALSE(runs(pid)) << "it is ended before the end is told";
    run(watch.stop());
}

TEST_F(HostProcessRuntimeTest, TheDemosFallbackRefusesRealAgents) {
    auto runtime = make(true);
    auto refused = run(runtime->prepare_image({contracts::AgentType::claude, {}, {}}, [](std::string) {}));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("RUNTIME=process allows them for real agents"));
    EXPECT_TRUE(run(runtime->prepare_image({contracts::AgentType::custom, {}, {}}, [](std::string) {})));
    auto image = run(runtime->prepare_image({contracts::AgentType::custom, {}, "debian"}, [](std::string) {}));
    ASSERT_FALSE(image);
    EXPECT_THAT(image.error().message, HasSubstr("the process runtime has no images"));
}

}  // namespace
}  // namespace codegen::worker_manager
