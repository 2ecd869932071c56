// The real engine for what it does, a socket of ours for how it fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

#include "shared/async/scope.hpp"
#include "shared/base/ids.hpp"
#include "shared/clients/docker/docker_client.hpp"
#include "shared/posix/fd.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/tiny_image.hpp"

namespace codegen::clients {
namespace {
using namespace std::chrono_literals;
using ::testing::HasSubstr;

class DockerClientTest : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { image_ = std::make_unique<testing::TinyImage>(); }
    static void TearDownTestSuite() { image_.reset(); }
    ~DockerClientTest() override {
        auto left = run(client_.list_containers({"codegen.test=" + mark_}));
        if (left)
            for (const Container& container : *left) run(client_.remove_container(container.id, true));
    }
    template <class T>
    T run(Task<T> task) {
        return codegen::testing::run(io_, std::move(task), 60s);
    }
    ContainerSpec spec(const std::string& script) {
        ContainerSpec spec;
        spec.image = image_->tag();
        spec.entrypoint = {"/bin/sh", "-c", script};
        spec.labels = {{"codegen.test", mark_}};
        spec.memory_bytes = 32 << 20;
        spec.cpus = 0.5;
        spec.processes = 32;
        return spec;
    }
    std::string started(const std::string& script) {
        auto id = run(client_.create_container("codegen-test-" + random_token(6), spec(script)));
        EXPECT_TRUE(id) << id.error().message;
        auto up = run(client_.start_container(id.value_or("")));
        EXPECT_TRUE(up) << up.error().message;
        return id.value_or("");
    }

    static std::unique_ptr<testing::TinyImage> image_;
    asio::io_context io_;
    DockerClient client_ = DockerClient::make(io_.get_executor()).value();
    const std::string mark_ = random_token(6);
};
std::unique_ptr<testing::TinyImage> DockerClientTest::image_;

TEST_F(DockerClientTest, KnowsTheEngine) {
    EXPECT_TRUE(run(client_.ping()));
    auto version = run(client_.version());
    ASSERT_TRUE(version) << version.error().message;
    EXPECT_FALSE(version->version.empty());
}

TEST_F(DockerClientTest, RunsAContainerFromBirthToRemoval) {
    std::string id = started("echo out; echo err >&2; exit 4");
    EXPECT_EQ(run(client_.wait_container(id)).value_or(-1), 4);
    auto ended = run(client_.inspect_container(id));
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->status, "exited");
    EXPECT_EQ(ended->exit_code, 4);
    EXPECT_FALSE(ended->running);
    std::string logs = run(client_.container_logs(id, 10)).value_or("");
    EXPECT_THAT(logs, HasSubstr("out\n"));
    EXPECT_THAT(logs, HasSubstr("err\n"));
    auto listed = run(client_.list_containers({"codegen.test=" + mark_}));
    ASSERT_EQ(listed->size(), 1u);
    EXPECT_EQ(listed->front().id, id);
    EXPECT_TRUE(run(client_.remove_container(id, false)));
    EXPECT_EQ(run(client_.inspect_container(id)).error().code, "not_found");
}

TEST_F(DockerClientTest, StopsAndKills) {
    std::string polite = started("trap 'exit 6' TERM; while :; do sleep 1000 & wait $!; done");
    EXPECT_TRUE(run(client_.stop_container(polite, 10s)));
    EXPECT_EQ(run(client_.inspect_container(polite))->exit_code, 6);
    EXPECT_TRUE(run(client_.stop_container(polite, 1s)));
    EXPECT_EQ(run(client_.kill_container(polite)).error().code, "conflict");
    std::string stubborn = started("trap '' TERM; while :; do sleep 1000; done");
    EXPECT_TRUE(run(client_.kill_container(stubborn)));
    EXPECT_EQ(run(client_.wait_container(stubborn)).value_or(-1), 137);
}

TEST_F(DockerClientTest, ExecSeparatesNothingAndTellsTheExitCode) {
    std::string id = started("while :; do sleep 1000; done");
    auto outcome = run(client_.exec(id,
                                    {.argv = {"/bin/sh", "-c", "echo $X; echo err >&2; pwd; exit 9"},
                                     .user = "10001:10001",
                                     .working_directory = "/tmp",
                                     .environment = {"X=seen"}},
                                    10s));
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->exit_code, 9);
    EXPECT_THAT(outcome->output, HasSubstr("seen\n"));
    EXPECT_THAT(outcome->output, HasSubstr("err\n"));
    EXPECT_THAT(outcome->output, HasSubstr("/tmp\n"));
    auto large =
        run(client_.exec(id,
                         {.argv = {"/bin/sh", "-c", "i=0; while [ $i -lt 5000 ]; do echo 0123456789; i=$((i+1)); done"},
                          .user = {},
                          .working_directory = {},
                          .environment = {}},
                         10s, 1000));
    ASSERT_TRUE(large);
    EXPECT_EQ(large->output.size(), 1000u);
    EXPECT_TRUE(large->truncated);
}

TEST_F(DockerClientTest, NamesThatAreTakenConflict) {
    std::string name = "codegen-test-" + random_token(6);
    ASSERT_TRUE(run(client_.create_container(name, spec("true"))));
    EXPECT_EQ(run(client_.create_container(name, spec("true"))).error().code, "conflict");
    ContainerSpec missing = spec("true");
    missing.mounts = {{"/nowhere/at/all", "/x", true}};
    auto refused = run(client_.create_container("codegen-test-" + random_token(6), missing));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "invalid");
    EXPECT_THAT(refused.error().message, HasSubstr("/nowhere/at/all"));
}

Task<void> keep(std::shared_ptr<std::vector<ContainerEvent>> events, ContainerEvent event) {
    events->push_back(std::move(event));
    co_return;
}
Task<void> set(std::shared_ptr<bool> flag) {
    *flag = true;
    co_return;
}
Task<void> listen(DockerClient client, std::string mark, std::shared_ptr<bool> connected,
                  std::shared_ptr<std::vector<ContainerEvent>> events) {
    static_cast<void>(co_await client.events(
        "codegen.test=" + mark, {"die"}, {}, [connected] { return set(connected); },
        [events](ContainerEvent event) { return keep(events, std::move(event)); }));
}

TEST_F(DockerClientTest, StreamsEventsOfOneLabel) {
    auto events = std::make_shared<std::vector<ContainerEvent>>();
    auto connected = std::make_shared<bool>(false);
    async::Scope scope(io_.get_executor());
    scope.spawn("events", listen(client_, mark_, connected, events));
    auto until = [&](const std::function<bool()>& condition) {
        for (auto end = std::chrono::steady_clock::now() + 20s;
             !condition() && std::chrono::steady_clock::now() < end;) {
            io_.restart();
            io_.run_for(5ms);
        }
        return condition();
    };
    ASSERT_TRUE(until([&] { return *connected; }));
    std::string id = started("exit 3");
    ASSERT_TRUE(until([&] { return !events->empty(); }));
    EXPECT_EQ(events->front().action, "die");
    EXPECT_EQ(events->front().id, id);
    EXPECT_EQ(events->front().attributes["exitCode"], "3");
    run(scope.stop());
}

TEST_F(DockerClientTest, BuildsTagsAndRemovesImages) {
    std::string name = "codegen-test-build";
    std::string tag = random_token(6);
    std::vector<std::string> lines;
    auto built = run(client_.build_image(
        {.tag = name + ":" + tag,
         .labels = {{"codegen.test", mark_}},
         .arguments = {{"WHO", "there"}},
         .context = tar_source({{.name = "Dockerfile",
                                 .content = "FROM " + image_->tag() + "\nARG WHO\nRUN echo hello $WHO\n",
                                 .file = {}}})},
        [&](std::string line) { lines.push_back(std::move(line)); }, 60s));
    ASSERT_TRUE(built) << built.error().message;
    EXPECT_THAT(lines, ::testing::Contains("hello there"));
    EXPECT_TRUE(run(client_.tag_image(name + ":" + tag, name, tag + "-2")));
    auto listed = run(client_.list_images("codegen.test=" + mark_));
    ASSERT_EQ(listed->size(), 1u);
    EXPECT_EQ(listed->front().tags.size(), 2u);
    EXPECT_TRUE(run(client_.remove_image(name + ":" + tag, true)));
    EXPECT_TRUE(run(client_.remove_image(name + ":" + tag + "-2", true)));
    EXPECT_EQ(run(client_.inspect_image(name + ":" + tag)).error().code, "not_found");
}

TEST_F(DockerClientTest, ABuildThatFailsNamesItsStep) {
    auto built = run(client_.build_image(
        {.tag = "codegen-test-build:" + random_token(6),
         .labels = {},
         .arguments = {},
         .context = tar_source(
             {{.name = "Dockerfile", .content = "FROM " + image_->tag() + "\nRUN echo oh no; exit 3\n", .file = {}}})},
        {}, 60s));
    ASSERT_FALSE(built);
    EXPECT_EQ(built.error().code, "failed");
    EXPECT_THAT(built.error().message, HasSubstr("build step 2 (echo oh no; exit 3): exit 3: oh no"));
    EXPECT_THAT(built.error().message, ::testing::EndsWith(": oh no"));
    auto bad =
        run(client_.build_image({.tag = "codegen-test-build:x",
                                 .labels = {},
                                 .arguments = {},
                                 .context = tar_source({{.name = "Dockerfile", .content = "NOTHING\n", .file = {}}})},
                                {}, 60s));
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().category, ErrorCategory::permanent);
}

// A server that accepts one connection, reads a request's head and says `answer`.
class OneAnswer {
  public:
    explicit OneAnswer(std::string answer) : directory_("/tmp/codegen-docker-XXXXXX"), answer_(std::move(answer)) {
        if (!::mkdtemp(directory_.data())) throw std::runtime_error("mkdtemp");
        listener_ = posix::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path().copy(address.sun_path, sizeof address.sun_path - 1);
        if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("bind");
        ::listen(listener_.get(), 4);
        thread_ = std::thread([this] { serve(); });
    }
    ~OneAnswer() {
        ::shutdown(listener_.get(), SHUT_RDWR);
        thread_.join();
        ::unlink(path().c_str());
        ::rmdir(directory_.c_str());
    }
    std::string path() const { return directory_ + "/s"; }

  private:
    void serve() {
        for (;;) {
            posix::Fd peer(::accept(listener_.get(), nullptr, nullptr));
            if (!peer) return;
            std::array<char, 4096> buffer;
            if (::recv(peer.get(), buffer.data(), buffer.size(), 0) > 0)
                ::send(peer.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
        }
    }
    std::string directory_;
    const std::string answer_;
    posix::Fd listener_;
    std::thread thread_;
};

TEST_F(DockerClientTest, FailuresOfTheConnectionAreUnknownNotNo) {
    auto away = DockerClient::make(io_.get_executor(), "unix:///nowhere/docker.sock").value();
    EXPECT_EQ(run(away.ping()).error().code, "unavailable");
    EXPECT_EQ(run(away.build_image({.tag = "x:y", .labels = {}, .arguments = {}, .context = tar_source({})}, {}, 5s))
                  .error()
                  .code,
              "unavailable");
    OneAnswer cut("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Id");
    auto half = DockerClient::make(io_.get_executor(), "unix://" + cut.path()).value();
    auto inspected = run(half.inspect_container("x"));
    ASSERT_FALSE(inspected);
    EXPECT_EQ(inspected.error().code, "unavailable");
    EXPECT_EQ(inspected.error().category, ErrorCategory::transient);
    OneAnswer broken("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 20\r\n\r\n{\"message\":\"broken\"}");
    auto ill = DockerClient::make(io_.get_executor(), "unix://" + broken.path()).value();
    auto answer = run(ill.inspect_container("x"));
    EXPECT_EQ(answer.error().code, "engine");
    EXPECT_EQ(answer.error().category, ErrorCategory::transient);
    EXPECT_THAT(answer.error().message, HasSubstr("broken"));
}

TEST_F(DockerClientTest, OnlyUnixSocketsAreTaken) {
    for (const char* host : {"tcp://1.2.3.4:2375", "ssh://x", "unix://", "unix://relative", ""})
        EXPECT_EQ(DockerClient::make(io_.get_executor(), host).error().code, "invalid") << host;
}

}  // namespace
}  // namespace codegen::clients
