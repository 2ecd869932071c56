// Real processes, real bubblewrap, real cgroups where they are permitted. The wrapper is a script.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <boost/asio/co_spawn.hpp>

#include "services/worker-manager/runtime/sandbox_runtime.hpp"
#include "services/worker-manager/runtime/temp_worker.hpp"
#include "shared/process/tree.hpp"
#include "shared/testing/run.hpp"

namespace codegen::worker_manager {
namespace {
using namespace std::chrono_literals;
using testing::content;
using testing::TempState;

class SandboxRuntimeTest : public ::testing::Test {
  protected:
    std::unique_ptr<SandboxRuntime> make() {
        return std::make_unique<SandboxRuntime>(
            io_.get_executor(),
            SandboxOptions{.installation = state_.installation(),
                           .workers = state_.workers(),
                           .agents = state_.agents(),
                           .agent_scripts = std::filesystem::path(CODEGEN_SOURCE_DIR) / "shared/agents"});
    }
    void TearDown() override {
        watch_.reset();
        auto runtime = make();
        for (const std::string& id : {"w1", "w2", "probe"}) EXPECT_TRUE(run(runtime->remove(id, 0ms)));
    }
    template <class T>
    T run(Task<T> task) {
        return codegen::testing::run(io_, std::move(task), 30s);
    }
    std::string start(SandboxRuntime& runtime, const std::string& worker_id, int attempt = 1) {
        BodySpec spec = state_.body(worker_id, runtime.agent_identity(worker_id));
        spec.attempt = attempt;
        spec.environment = {{"WORKER_ID", worker_id}};
        auto body = run(runtime.start(std::move(spec)));
        EXPECT_TRUE(body) << body.error().message;
        return body.value_or("");
    }
    void watch(SandboxRuntime& runtime) {
        watch_ = std::make_unique<async::Scope>(io_.get_executor());
        watch_->spawn("watch", runtime.watch([this](BodyEnd end) { return take(std::move(end)); }));
    }
    Task<void> take(BodyEnd end) {
        ends_.push_back(std::move(end));
        co_return;
    }
    bool until(const std::function<bool()>& condition) {
        io_.restart();
        for (auto deadline = std::chrono::steady_clock::now() + 10s; !condition();) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            io_.run_for(2ms);
            io_.restart();
        }
        return true;
    }
    int pid_of(const std::string& worker_id) { return read_pid_file({state_.workers() / worker_id}).value().pid; }

    TempState state_;
    asio::io_context io_;
    std::vector<BodyEnd> ends_;
    std::unique_ptr<async::Scope> watch_;
};

constexpr const char* kWaiting = "trap 'exit 3' TERM; echo ready; while :; do sleep 1000 & wait $!; done";

TEST_F(SandboxRuntimeTest, WorksHere) {
    auto fine = run(make()->probe());
    EXPECT_TRUE(fine) << fine.error().message;
}

TEST_F(SandboxRuntimeTest, ProbeNamesTheMissingProgram) {
    SandboxRuntime runtime(io_.get_executor(), {.installation = "x",
                                                .workers = state_.workers(),
                                                .agents = state_.agents(),
                                                .agent_scripts = {},
                                                .bwrap = "/nowhere/bwrap"});
    auto fine = run(runtime.probe());
    ASSERT_FALSE(fine);
    EXPECT_THAT(fine.error().message, ::testing::HasSubstr("/nowhere/bwrap is missing: install bubblewrap"));
}

TEST_F(SandboxRuntimeTest, StartsInASessionOfItsOwnWithAComposedEnvironment) {
    ::setenv("PLANTED_SECRET", "canary", 1);
    state_.wrapper_script("env; echo pid $$; " + std::string(kWaiting));
    auto runtime = make();
    std::string body = start(*runtime, "w1", 4);
    WorkerDirectories host{state_.workers() / "w1"};
    ASSERT_TRUE(until([&] { return content(host.state() / "wrapper.log").contains("ready"); }));
    std::string log = content(host.state() / "wrapper.log");
    EXPECT_THAT(log, ::testing::HasSubstr("WORKER_ID=w1\n"));
    EXPECT_THAT(log, ::testing::HasSubstr("WRAPPER_CONFIG=" + (host.state() / "config.json").string() + "\n"));
    EXPECT_THAT(log, ::testing::Not(::testing::HasSubstr("canary")));
    struct stat status{};
    ASSERT_EQ(::stat((host.state() / "wrapper.log").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600);

    auto file = read_pid_file(host);
    ASSERT_TRUE(file);
    EXPECT_EQ(file->attempt, 4);
    EXPECT_EQ(body, body_id(file->pid, file->start_time));
    EXPECT_EQ(process::read_process(file->pid)->session, file->pid);
    EXPECT_THAT(log, ::testing::HasSubstr("pid " + std::to_string(file->pid) + "\n"));

    auto bodies = run(runtime->list());
    ASSERT_TRUE(bodies);
    ASSERT_EQ(bodies->size(), 1u);
    EXPECT_EQ(bodies->front().worker_id, "w1");
    EXPECT_EQ(bodies->front().attempt, 4);
    EXPECT_TRUE(bodies->front().running);
    ::unsetenv("PLANTED_SECRET");
}

TEST_F(SandboxRuntimeTest, GivesTheWrapperItsConfig) {
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    start(*runtime, "w1");
    WorkerDirectories host{state_.workers() / "w1"};
    auto config = json::parse<contracts::WrapperConfig>(content(host.state() / "config.json"));
    ASSERT_TRUE(config);
    EXPECT_EQ(config->redis_socket, host.gateway() / "wrapper" / "redis.sock");
    EXPECT_EQ(config->workspace, host.workspace());
    EXPECT_EQ(config->agent_uid, runtime->agent_identity("w1").uid);
    ASSERT_TRUE(config->sandbox);
    EXPECT_EQ(config->sandbox->wrapper_program, state_.programs() / "worker-wrapper");
    EXPECT_EQ(content(host.state() / "seccomp.bpf").size() % 8, 0u);
    EXPECT_GT(content(host.state() / "seccomp.bpf").size(), 500u);
}

TEST_F(SandboxRuntimeTest, ReportsAnEndWithItsExitCode) {
    state_.wrapper_script("exit 7");
    auto runtime = make();
    watch(*runtime);
    std::string body = start(*runtime, "w1");
    ASSERT_TRUE(until([&] { return !ends_.empty(); }));
    EXPECT_EQ(ends_[0].worker_id, "w1");
    EXPECT_EQ(ends_[0].body_id, body);
    EXPECT_EQ(ends_[0].exit_code, 7);
    EXPECT_FALSE(ends_[0].out_of_memory);
    EXPECT_FALSE(run(runtime->list())->front().running);
}

TEST_F(SandboxRuntimeTest, ReportsAKill) {
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    watch(*runtime);
    start(*runtime, "w1");
    ::kill(pid_of("w1"), SIGKILL);
    ASSERT_TRUE(until([&] { return !ends_.empty(); }));
    EXPECT_EQ(ends_[0].exit_code, 137);
}

TEST_F(SandboxRuntimeTest, AnotherRuntimeAdoptsAndSeesTheEnd) {
    state_.wrapper_script(kWaiting);
    auto first = make();
    std::string body = start(*first, "w1");
    first.reset();
    auto second = make();
    auto bodies = run(second->list());
    ASSERT_EQ(bodies->size(), 1u);
    EXPECT_EQ(bodies->front().body_id, body);
    EXPECT_TRUE(bodies->front().running);
    watch(*second);
    ::kill(pid_of("w1"), SIGKILL);
    ASSERT_TRUE(until([&] { return !ends_.empty(); }));
    EXPECT_EQ(ends_[0].body_id, body);
}

TEST_F(SandboxRuntimeTest, AnEndWhileNobodyWatchedIsReportedLater) {
    state_.wrapper_script("exit 0");
    auto first = make();
    std::string body = start(*first, "w1");
    int pid = pid_of("w1");
    ASSERT_TRUE(until([&] {
        auto p = process::read_process(pid);
        return !p || !p->alive();
    }));
    first.reset();
    auto second = make();
    watch(*second);
    ASSERT_TRUE(until([&] { return !ends_.empty(); }));
    EXPECT_EQ(ends_[0].body_id, body);
    EXPECT_EQ(ends_[0].exit_code, std::nullopt);
}

TEST_F(SandboxRuntimeTest, APidFileOfALaterProcessIsNotAlive) {
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    BodySpec spec = state_.body("w1", runtime->agent_identity("w1"));
    // Our own pid, another start time: whoever removes this worker must not kill us.
    PidFile file{::getpid(), process::start_time(::getpid()).value() + 1, 1, state_.installation()};
    std::ofstream(pid_file_path(spec.directories)) << json::write(file);
    EXPECT_FALSE(run(runtime->list())->front().running);
    EXPECT_TRUE(run(runtime->remove("w1", 100ms)));
    EXPECT_TRUE(run(runtime->list())->empty());
}

TEST_F(SandboxRuntimeTest, RemoveEndsEverythingAndIsIdempotent) {
    // A child that left the session and ignores SIGTERM.
    state_.wrapper_script("trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ >" +
                          (state_.programs() / "child").string() + "; while :; do sleep 1000; done' & " + kWaiting);
    auto runtime = make();
    start(*runtime, "w1");
    int wrapper = pid_of("w1");
    ASSERT_TRUE(until([&] { return !content(state_.programs() / "child").empty(); }));
    int child = std::stoi(content(state_.programs() / "child"));
    auto gone = run(runtime->remove("w1", 50ms));
    ASSERT_TRUE(gone) << gone.error().message;
    auto alive = [](int pid) {
        auto p = process::read_process(pid);
        return p && p->alive();
    };
    EXPECT_FALSE(alive(wrapper));
    EXPECT_FALSE(alive(child));
    EXPECT_TRUE(run(runtime->list())->empty());
    EXPECT_TRUE(run(runtime->remove("w1", 50ms)));
    EXPECT_TRUE(run(runtime->remove("never-was", 50ms)));
}

TEST_F(SandboxRuntimeTest, RemoveLetsTheWrapperFinish) {
    state_.wrapper_script("trap 'echo finished; exit 0' TERM; echo ready; while :; do sleep 1000 & wait $!; done");
    auto runtime = make();
    start(*runtime, "w1");
    WorkerDirectories host{state_.workers() / "w1"};
    ASSERT_TRUE(until([&] { return content(host.state() / "wrapper.log").contains("ready"); }));
    ASSERT_TRUE(run(runtime->remove("w1", 5s)));
    EXPECT_THAT(content(host.state() / "wrapper.log"), ::testing::HasSubstr("finished"));
}

TEST_F(SandboxRuntimeTest, StartReplacesAnEarlierAttempt) {
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    start(*runtime, "w1", 1);
    int first = pid_of("w1");
    start(*runtime, "w1", 2);
    EXPECT_NE(pid_of("w1"), first);
    auto entry = process::read_process(first);
    EXPECT_FALSE(entry && entry->alive());
    EXPECT_EQ(run(runtime->list())->front().attempt, 2);
}

TEST_F(SandboxRuntimeTest, RunsACommandInside) {
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    start(*runtime, "w1");
    auto outcome = run(runtime->run_inside(
        "w1",
        {"bash", "-c", "pwd; whoami; echo $HOME; touch made; ls /etc /run/codegen/wrapper; unshare -Ur true; exit 5"},
        10s));
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->first, 5) << outcome->second;
    EXPECT_THAT(outcome->second, ::testing::StartsWith("/workspace\nagent\n/home/agent\n"));
    EXPECT_THAT(outcome->second, ::testing::HasSubstr("Operation not permitted"));
    EXPECT_THAT(outcome->second, ::testing::Not(::testing::HasSubstr("shadow")));
    struct stat status{};
    ASSERT_EQ(::stat((state_.workers() / "w1" / "workspace" / "made").c_str(), &status), 0);
    EXPECT_EQ(static_cast<int>(status.st_uid), runtime->agent_identity("w1").uid);
}

TEST_F(SandboxRuntimeTest, InsideThereIsNoNetworkAndNoOtherWorker) {
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    start(*runtime, "w1");
    auto outcome = run(runtime->run_inside(
        "w1",
        {"bash", "-c",
         "(exec 3<>/dev/tcp/127.0.0.1/22) 2>&1; (exec 3<>/dev/tcp/10.0.0.1/80) 2>&1; ls /var/run/docker.sock " +
             state_.workers().string() + " 2>&1; ps ax | wc -l; grep CapEff /proc/self/status; touch /usr/x 2>&1"},
        10s));
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_THAT(outcome->second, ::testing::HasSubstr("Network is unreachable"));
    EXPECT_THAT(outcome->second, ::testing::HasSubstr("cannot access '/var/run/docker.sock'"));
    EXPECT_THAT(outcome->second, ::testing::HasSubstr("cannot access '" + state_.workers().string() + "'"));
    EXPECT_THAT(outcome->second, ::testing::HasSubstr("CapEff:\t0000000000000000"));
    EXPECT_THAT(outcome->second, ::testing::HasSubstr("Read-only file system"));
}

TEST_F(SandboxRuntimeTest, ACommandInsideHasATimeLimit) {
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    start(*runtime, "w1");
    auto outcome = run(runtime->run_inside("w1", {"sleep", "1000"}, 200ms));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, "timeout");
    EXPECT_EQ(run(runtime->run_inside("w2", {"true"}, 1s)).error().code, "not_found");
}

TEST_F(SandboxRuntimeTest, ACommandInsideHasTheWorkersLimitsAndEndsWithIt) {
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    start(*runtime, "w1");
    const auto mark = testing::sleep_mark();
    async::Scope commands(io_.get_executor());
    std::optional<Result<std::pair<int, std::string>>> said;
    // Leaves the session, as what wants to outlive others does.
    commands.spawn(
        "command",
        testing::keep(runtime->run_inside("w1", {"setsid", "-w", "sleep", mark}, std::chrono::minutes(10)), &said));
    ASSERT_TRUE(until([&] { return !testing::sleepers(mark).empty(); }));
    const auto groups = recorded_cgroups({state_.workers() / "w1"});
    if (::geteuid() == 0) EXPECT_FALSE(groups.empty()) << "this test needs writable cgroups (run as root)";
    for (const std::filesystem::path group : groups)
        EXPECT_THAT("\n" + content(group / "cgroup.procs"),
                    ::testing::HasSubstr("\n" + std::to_string(testing::sleepers(mark)[0]) + "\n"))
            << group;
    auto gone = run(runtime->remove("w1", 0ms));
    ASSERT_TRUE(gone) << gone.error().message;
    EXPECT_TRUE(testing::sleepers(mark).empty()) << "it outlived its worker";
    ASSERT_TRUE(until([&] { return said.has_value(); }));
    ASSERT_FALSE(*said);
    EXPECT_EQ(said->error().code, "cancelled");
    EXPECT_EQ(run(runtime->run_inside("w1", {"true"}, 1s)).error().code, "not_found");
    run(commands.stop());
}

TEST_F(SandboxRuntimeTest, NoCommandBeginsInAWorkerThatIsBeingRemoved) {
    CommandsBeside commands(io_.get_executor());
    const auto begin = [&](const std::string& worker) {
        process::Spec spec;
        spec.argv =
            shell_beside({"/bin/sh", "-c", "ulimit -u 2>/dev/null || ulimit -p; ulimit -d; echo bad >&2"}, 77, 1 << 20);
        spec.environment = process::minimal_environment();
        return run(commands.run(worker, std::move(spec), {.timeout = 10s}));
    };
    auto closed = commands.close("w1");
    EXPECT_EQ(begin("w1").error().code, "cancelled");
    EXPECT_TRUE(begin("w2"));
    closed.reset();
    auto outcome = begin("w1");
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->output, "77\n1024\nbad\n");
}

TEST_F(SandboxRuntimeTest, LookingForLimitsLeavesEveryWorkerAlone) {
    state_.wrapper_script(
        R"(for g in $(sed 's/.*"cgroups":\[\([^]]*\)\].*/\1/; s/[",]/ /g' "$WRAPPER_CONFIG"); do echo $$ >$g/cgroup.procs; done
echo joined; )" +
        std::string(kWaiting));
    auto runtime = make();
    start(*runtime, "probe");
    WorkerDirectories host{state_.workers() / "probe"};
    ASSERT_TRUE(until([&] { return content(host.state() / "wrapper.log").contains("joined"); }));
    EXPECT_TRUE(run(make()->probe()));
    EXPECT_TRUE(run(runtime->list())->front().running) << "a restart killed the worker named probe";
}

TEST_F(SandboxRuntimeTest, MarksOutOfMemory) {
    Cgroups cgroups(state_.installation());
    auto made = cgroups.create("probe", {});
    Cgroups::remove(made);
    if (::geteuid() != 0 && made.empty()) return;  // nothing is promised to an ordinary user
    ASSERT_FALSE(made.empty()) << "this test needs a writable memory cgroup (run as root)";
    // What the wrapper does with an agent: join the groups, then run it.
    state_.wrapper_script(
        R"(for g in $(sed 's/.*"cgroups":\[\([^]]*\)\].*/\1/; s/[",]/ /g' "$WRAPPER_CONFIG"); do echo $$ >$g/cgroup.procs; done
tail /dev/zero; exit 9)");
    auto runtime = make();
    watch(*runtime);
    start(*runtime, "w1");
    ASSERT_TRUE(until([&] { return !ends_.empty(); }));
    EXPECT_TRUE(ends_[0].out_of_memory) << content(state_.workers() / "w1" / "state" / "wrapper.log");
    EXPECT_TRUE(run(runtime->remove("w1", 0ms)));
    for (const std::filesystem::path directory : made)
        EXPECT_FALSE(std::filesystem::exists(directory.parent_path() / "w1")) << directory;
}

TEST_F(SandboxRuntimeTest, RefusesWhatItCannotGive) {
    auto runtime = make();
    auto own = run(
        runtime->prepare_image({.agent_type = contracts::AgentType::custom, .capabilities = {}, .image = "x:1"}, {}));
    ASSERT_FALSE(own);
    EXPECT_THAT(own.error().message, ::testing::HasSubstr("config.image is \"x:1\""));
    auto docker = run(runtime->prepare_image(
        {.agent_type = contracts::AgentType::custom, .capabilities = {contracts::Capability::docker}, .image = {}},
        {}));
    EXPECT_FALSE(docker);
    auto fine = run(runtime->prepare_image(
        {.agent_type = contracts::AgentType::custom, .capabilities = {contracts::Capability::git}, .image = {}}, {}));
    EXPECT_EQ(fine.value_or("error"), "");

    BodySpec spec = state_.body("w1", runtime->agent_identity("w1"));
    spec.programs = "/nowhere";
    auto started = run(runtime->start(spec));
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, "not_found");
    spec.installation = "somebody-else";
    EXPECT_FALSE(run(runtime->start(spec)));
}

TEST_F(SandboxRuntimeTest, EachWorkerHasAUidOfItsOwnWhenWeAreRoot) {
    if (::geteuid() != 0) {
        EXPECT_EQ(make()->agent_identity("w1").uid, static_cast<int>(::getuid()));
        return;
    }
    auto runtime = make();
    std::set<int> uids;
    for (int i = 0; i < 50; ++i) uids.insert(runtime->agent_identity("w" + std::to_string(i)).uid);
    EXPECT_EQ(uids.size(), 50u);
    EXPECT_GE(*uids.begin(), 200000);
    // The directory's owner is remembered across a restart.
    int uid = runtime->agent_identity("w7").uid;
    state_.body("w7", {uid, uid});
    EXPECT_EQ(make()->agent_identity("w7").uid, uid);
}

TEST_F(SandboxRuntimeTest, ADirectoryThatTheAgentCannotPassIsNamed) {
    if (::geteuid() != 0) return;
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    BodySpec spec = state_.body("w1", runtime->agent_identity("w1"));
    ::chmod(state_.workers().c_str(), 0700);
    auto started = run(runtime->start(spec));
    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().message,
                ::testing::HasSubstr("cannot pass " + state_.workers().string() + " (mode 0700)"));
}

}  // namespace
}  // namespace codegen::worker_manager
