// The real engine. The image is made on the fly from the host's shell, the wrapper is a script.
#include <gtest/gtest.h>

#include "services/worker-manager/runtime/docker_runtime.hpp"
#include "services/worker-manager/runtime/temp_worker.hpp"
#include "shared/async/scope.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/tiny_image.hpp"

namespace codegen::worker_manager {
namespace {
using namespace std::chrono_literals;
using testing::content;
using testing::TempState;

class DockerRuntimeTest : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { image_ = std::make_unique<codegen::testing::TinyImage>(); }
    static void TearDownTestSuite() { image_.reset(); }
    void SetUp() override { ASSERT_EQ(::geteuid(), 0u) << "the Docker runtime runs as root"; }
    void TearDown() override {
        watch_.reset();
        auto runtime = make();
        for (const std::string& id : {"w1", "w2"}) EXPECT_TRUE(run(runtime->remove(name(id), 0ms)));
    }

    DockerOptions options() {
        return {.installation = state_.installation(),
                .images = {.images = state_.images(),
                           .agents = state_.agents(),
                           .image_scripts = std::filesystem::path(CODEGEN_SOURCE_DIR) / "images",
                           .agent_scripts = std::filesystem::path(CODEGEN_SOURCE_DIR) / "shared/agents",
                           .base_image = image_->tag()},
                .workers = state_.workers()};
    }
    std::unique_ptr<DockerRuntime> make() { return DockerRuntime::make(io_.get_executor(), options()).value(); }
    // Container names are the engine's, so they carry this test's own mark.
    std::string name(const std::string& worker) { return worker + "-" + state_.installation(); }
    template <class T>
    T run(Task<T> task) {
        return codegen::testing::run(io_, std::move(task), 120s);
    }
    BodySpec body(const std::string& worker, int attempt = 1) {
        BodySpec spec = state_.body(name(worker), {10001, 10001});
        spec.image = image_->tag();
        spec.attempt = attempt;
        return spec;
    }
    std::string start(DockerRuntime& runtime, const std::string& worker, int attempt = 1) {
        auto id = run(runtime.start(body(worker, attempt)));
        EXPECT_TRUE(id) << id.error().message;
        return id.value_or("");
    }
    void watch(DockerRuntime& runtime) {
        watch_ = std::make_unique<async::Scope>(io_.get_executor());
        watch_->spawn("watch", runtime.watch([this](BodyEnd end) { return take(std::move(end)); }));
    }
    Task<void> take(BodyEnd end) {
        ends_.push_back(std::move(end));
        co_return;
    }
    bool until(const std::function<bool()>& condition) {
        io_.restart();
        for (auto deadline = std::chrono::steady_clock::now() + 20s; !condition();) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            io_.run_for(2ms);
            io_.restart();
        }
        return true;
    }
    clients::DockerClient client() { return clients::DockerClient::make(io_.get_executor()).value(); }

    static inline std::unique_ptr<codegen::testing::TinyImage> image_;
    TempState state_;
    asio::io_context io_;
    std::vector<BodyEnd> ends_;
    std::unique_ptr<async::Scope> watch_;
};

constexpr const char* kWaiting = "trap 'exit 3' TERM; echo ready; while :; do sleep 1000 & wait $!; done";

TEST_F(DockerRuntimeTest, WorksHere) {
    auto fine = run(make()->probe());
    EXPECT_TRUE(fine) << fine.error().message;
}

TEST_F(DockerRuntimeTest, AnEngineThatIsAwayIsUnavailableAndNeverAnEnd) {
    DockerOptions away = options();
    away.docker_host = "unix://" + (state_.programs() / "no-engine.sock").string();
    auto runtime = DockerRuntime::make(io_.get_executor(), away).value();
    EXPECT_EQ(run(runtime->list()).error().code, "unavailable");
    EXPECT_EQ(run(runtime->remove("w1", 0ms)).error().code, "unavailable");
    EXPECT_EQ(run(runtime->start(body("w1"))).error().code, "unavailable");
    EXPECT_EQ(run(runtime->probe()).error().code, "unavailable");
    watch(*runtime);
    io_.restart();
    io_.run_for(300ms);
    EXPECT_TRUE(ends_.empty());
    run(watch_->stop());
}

TEST_F(DockerRuntimeTest, RefusesARemoteEngine) {
    DockerOptions remote = options();
    remote.docker_host = "tcp://10.0.0.1:2375";
    auto runtime = DockerRuntime::make(io_.get_executor(), remote);
    ASSERT_FALSE(runtime);
    EXPECT_THAT(runtime.error().message, ::testing::HasSubstr("DOCKER_HOST is \"tcp://10.0.0.1:2375\""));
}

TEST_F(DockerRuntimeTest, StartsConfinedWithLabels) {
    state_.wrapper_script("cat /proc/self/status >/var/lib/codegen-worker/status; echo $WRAPPER_CONFIG; " +
                          std::string(kWaiting));
    auto runtime = make();
    std::string id = start(*runtime, "w1", 4);
    auto container = run(client().inspect_container(id));
    ASSERT_TRUE(container) << container.error().message;
    EXPECT_EQ(container->name, "worker-" + name("w1"));
    EXPECT_EQ(container->labels["codegen.installation"], state_.installation());
    EXPECT_EQ(container->labels["codegen.worker"], name("w1"));
    EXPECT_EQ(container->labels["codegen.attempt"], "4");
    EXPECT_EQ(container->labels["codegen.host"], "here");
    auto status_file = state_.workers() / name("w1") / "state" / "status";
    ASSERT_TRUE(until([&] { return content(status_file).contains("Seccomp:"); }));
    std::string status = content(status_file);
    EXPECT_THAT(status, ::testing::HasSubstr("CapEff:\t00000000000000c0"));  // SETGID, SETUID
    EXPECT_THAT(status, ::testing::HasSubstr("NoNewPrivs:\t1"));
    EXPECT_THAT(status, ::testing::HasSubstr("Seccomp:\t2"));
    EXPECT_TRUE(until([&] {  // the engine writes its log a little later
        return run(client().container_logs(id, 10)).value().contains("/var/lib/codegen-worker/config.json");
    }));

    auto bodies = run(runtime->list());
    ASSERT_TRUE(bodies);
    ASSERT_EQ(bodies->size(), 1u);
    EXPECT_EQ(bodies->front().body_id, id);
    EXPECT_EQ(bodies->front().attempt, 4);
    EXPECT_TRUE(bodies->front().running);
}

TEST_F(DockerRuntimeTest, InsideThereIsNoNetworkAndTheRootIsReadOnly) {
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    start(*runtime, "w1");
    auto outcome =
        run(runtime->run_inside(name("w1"),
                                {"/bin/sh", "-c",
                                 "id -u; pwd; cat /proc/net/route | wc -l; touch /x 2>&1; touch /run/codegen/x 2>&1; "
                                 "ls /var/lib/codegen-worker /run/codegen/wrapper 2>&1; touch made; exit 5"},
                                20s));
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->first, 5) << outcome->second;
    EXPECT_THAT(outcome->second, ::testing::StartsWith("10001\n/workspace\n1\n"));
    EXPECT_THAT(outcome->second, ::testing::HasSubstr("/x': Read-only file system"));
    EXPECT_THAT(outcome->second, ::testing::HasSubstr("/run/codegen/x': Read-only file system"));
    EXPECT_THAT(outcome->second, ::testing::HasSubstr("'/var/lib/codegen-worker': Permission denied"));
    EXPECT_THAT(outcome->second, ::testing::HasSubstr("'/run/codegen/wrapper': Permission denied"));
    EXPECT_TRUE(std::filesystem::exists(state_.workers() / name("w1") / "workspace" / "made"));
}

TEST_F(DockerRuntimeTest, ACommandInsideHasATimeLimitAndEnds) {
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    start(*runtime, "w1");
    auto outcome =
        run(runtime->run_inside(name("w1"), {"/bin/sh", "-c", "echo $$ >/workspace/pid; exec sleep 1000"}, 500ms));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, "timeout");
    std::string inside = content(state_.workers() / name("w1") / "workspace" / "pid");
    inside.pop_back();
    EXPECT_TRUE(until([&] {
        auto gone = run(runtime->run_inside(name("w1"), {"/bin/sh", "-c", "test ! -e /proc/" + inside}, 10s));
        return gone && gone->first == 0;
    }));
}

TEST_F(DockerRuntimeTest, ReportsEndKillAndOutOfMemory) {
    auto runtime = make();
    watch(*runtime);
    state_.wrapper_script("exit 7");
    std::string ended = start(*runtime, "w1");
    ASSERT_TRUE(until([&] { return ends_.size() == 1; }));
    EXPECT_EQ(ends_[0].worker_id, name("w1"));
    EXPECT_EQ(ends_[0].body_id, ended);
    EXPECT_EQ(ends_[0].exit_code, 7);
    EXPECT_FALSE(ends_[0].out_of_memory);

    state_.wrapper_script(kWaiting);
    std::string killed = start(*runtime, "w2");
    ASSERT_TRUE(run(client().kill_container(killed)));
    ASSERT_TRUE(until([&] { return ends_.size() == 2; }));
    EXPECT_EQ(ends_[1].body_id, killed);
    EXPECT_EQ(ends_[1].exit_code, 137);
    EXPECT_FALSE(ends_[1].out_of_memory);

    state_.wrapper_script("exec tail /dev/zero");
    std::string starved = start(*runtime, "w1", 2);
    ASSERT_TRUE(until([&] { return ends_.size() == 3; }));
    EXPECT_EQ(ends_[2].body_id, starved);
    EXPECT_TRUE(ends_[2].out_of_memory);
    run(watch_->stop());
}

TEST_F(DockerRuntimeTest, AnotherRuntimeAdoptsAndReportsWhatEndedMeanwhile) {
    state_.wrapper_script(kWaiting);
    auto first = make();
    std::string one = start(*first, "w1");
    std::string two = start(*first, "w2");
    first.reset();
    ASSERT_TRUE(run(client().kill_container(two)));
    auto second = make();
    watch(*second);
    ASSERT_TRUE(until([&] { return ends_.size() == 1; }));
    EXPECT_EQ(ends_[0].body_id, two);
    auto bodies = run(second->list());
    ASSERT_EQ(bodies->size(), 2u);
    for (const Body& found : *bodies) EXPECT_EQ(found.running, found.body_id == one);
    ASSERT_TRUE(run(client().kill_container(one)));
    ASSERT_TRUE(until([&] { return ends_.size() == 2; }));
    EXPECT_EQ(ends_[1].body_id, one);
    run(watch_->stop());
}

TEST_F(DockerRuntimeTest, StartReplacesAnEarlierAttemptOfOursOnly) {
    state_.wrapper_script(kWaiting);
    auto runtime = make();
    std::string first = start(*runtime, "w1", 1);
    std::string second = start(*runtime, "w1", 2);
    EXPECT_NE(first, second);
    EXPECT_EQ(run(client().inspect_container(first)).error().code, "not_found");

    TempState other;
    DockerOptions foreign = options();
    foreign.installation = other.installation();
    auto stranger = DockerRuntime::make(io_.get_executor(), foreign).value();
    BodySpec spec = body("w1");
    spec.installation = other.installation();
    auto started = run(stranger->start(spec));
    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().message, ::testing::HasSubstr("belongs to installation " + state_.installation()));
    EXPECT_FALSE(run(stranger->remove(name("w1"), 0ms)));
    EXPECT_TRUE(run(client().inspect_container(second)));
}

TEST_F(DockerRuntimeTest, RemoveIsGracefulAndIdempotent) {
    state_.wrapper_script(
        "trap 'echo finished >/workspace/finished; exit 0' TERM; touch /workspace/ready; while :; do sleep 1000 & wait "
        "$!; done");
    auto runtime = make();
    start(*runtime, "w1");
    auto workspace = state_.workers() / name("w1") / "workspace";
    ::chmod(workspace.c_str(), 0777);
    ASSERT_TRUE(until([&] {
        auto there = run(runtime->run_inside(name("w1"), {"/bin/sh", "-c", "true"}, 10s));
        return there && there->first == 0;
    }));
    EXPECT_TRUE(run(runtime->remove(name("w1"), 10s)));
    EXPECT_TRUE(run(runtime->list())->empty());
    EXPECT_TRUE(run(runtime->remove(name("w1"), 10s)));
    EXPECT_TRUE(run(runtime->remove("never-was", 10s)));
}

TEST_F(DockerRuntimeTest, AMissingImageIsNotFound) {
    BodySpec spec = body("w1");
    spec.image = "worker:0000000000000000";
    auto started = run(make()->start(spec));
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, "not_found");
}

TEST_F(DockerRuntimeTest, AProgramThatCannotStartIsAnErrorAndLeavesNothing) {
    auto runtime = make();
    auto started = run(runtime->start(body("w1")));  // no worker-wrapper in programs
    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().message, ::testing::HasSubstr("worker-wrapper"));
    EXPECT_TRUE(run(runtime->list())->empty());
}

TEST_F(DockerRuntimeTest, ABuildThatFailsNamesTheStepAndKeepsItsLog) {
    // The tiny image has no apt-get.
    std::vector<std::string> lines;
    auto built =
        run(make()->prepare_image({.agent_type = contracts::AgentType::custom, .capabilities = {}, .image = {}},
                                  [&](std::string line) { lines.push_back(std::move(line)); }));
    ASSERT_FALSE(built);
    EXPECT_EQ(built.error().code, "failed");
    EXPECT_THAT(built.error().message, ::testing::HasSubstr("build step "));
    EXPECT_THAT(built.error().message, ::testing::HasSubstr("the base image has no apt-get"));
    EXPECT_FALSE(lines.empty());
    std::string log;
    for (const auto& file : std::filesystem::directory_iterator(state_.images())) log += content(file.path());
    EXPECT_THAT(log, ::testing::HasSubstr("the base image has no apt-get"));
}

TEST_F(DockerRuntimeTest, AnOwnImageIsTakenAsItIs) {
    auto runtime = make();
    auto own = run(runtime->prepare_image(
        {.agent_type = contracts::AgentType::custom, .capabilities = {}, .image = image_->tag()}, {}));
    EXPECT_EQ(own.value_or("error"), image_->tag());
    auto missing = run(runtime->prepare_image(
        {.agent_type = contracts::AgentType::custom, .capabilities = {}, .image = "localhost:1/none:1"}, {}));
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().message, ::testing::HasSubstr("config.image localhost:1/none:1 is not on this engine"));
}

}  // namespace
}  // namespace codegen::worker_manager
