// Two worker hosts on one Redis and one API: the control plane is `north`, a second worker-manager is `south`, with a
// state directory, a database and workers of its own.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "shared/base/ids.hpp"
#include "shared/process/process.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/history.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace fs = std::filesystem;
namespace json = boost::json;
using namespace std::chrono_literals;

std::string text_of(const fs::path& path) {
    std::ifstream in(path);
    std::string text;
    std::getline(in, text);
    return text;
}

// `orchestratord serve --role worker-manager`, as an operator runs it on another machine.
class SecondHost {
  public:
    SecondHost(ControlPlane& plane, std::string runtime)
        : plane_(plane), runtime_(std::move(runtime)), state_(fs::temp_directory_path() / ("cg-" + random_token(4))) {
        start();
    }
    ~SecondHost() {
        if (child_) kill_hard();
        std::istringstream lines(containers());
        for (std::string id; std::getline(lines, id);) plane_.run({"docker", "rm", "-f", id});
        for (int pid : processes_with(state_.string())) ::kill(pid, SIGKILL);
        eventually("south's workers are gone", [&] { return processes_with(state_.string()).empty(); });
        std::error_code error;
        fs::remove_all(state_, error);
    }
    void start() {
        const auto ready = state_ / "ready";
        fs::create_directories(state_);
        fs::remove(ready);
        process::Spec spec;
        spec.argv = {std::string(CODEGEN_BIN_DIR) + "/orchestratord",
                     "serve",
                     "--role",
                     "worker-manager",
                     "--runtime",
                     runtime_,
                     "--ready-file",
                     ready.string()};
        spec.environment = process::minimal_environment();
        spec.environment["CODEGEN_STATE_DIR"] = state_.string();
        spec.environment["CODEGEN_HOST"] = "south";
        spec.environment["REDIS_URL"] = text_of(plane_.state() / "redis.url");
        spec.environment["API_URL"] = "http+unix://" + (plane_.state() / "api.sock").string();
        spec.environment["SERVICE_TOKEN"] = text_of(plane_.state() / "service.token");
        for (const char* name : {"SSL_CERT_FILE", "DOCKER_HOST"})
            if (const char* value = std::getenv(name)) spec.environment.emplace(name, value);
        auto child = process::start(io_.get_executor(), std::move(spec), state_ / "orchestratord.log");
        if (!child) throw std::runtime_error(child.error().message);
        child_ = std::move(*child);
        eventually("south is ready", [&] { return fs::exists(ready); }, 60s);
        eventually("south is announced",
                   [&] { return plane_.redis({"HEXISTS", "worker-manager:hosts", "south"}).integer == 1; });
    }
    void kill_hard() {
        child_->signal(SIGKILL);
        ::waitpid(child_->pid(), nullptr, 0);
        child_.reset();
    }
    std::string containers() {
        const auto id = text_of(state_ / "instance.id");
        return runtime_ == "docker" && !id.empty()
                   ? plane_.run({"docker", "ps", "-aq", "--filter", "label=codegen.installation=" + id}).output
                   : "";
    }
    std::size_t bodies() {
        const auto text = containers();
        if (runtime_ == "docker") return static_cast<std::size_t>(std::ranges::count(text, '\n'));
        std::size_t count = 0;
        for (const auto& entry : fs::directory_iterator(state_ / "workers"))
            count += fs::exists(entry.path() / "state" / "wrapper.pid");
        return count;
    }
    const fs::path& state() const { return state_; }

  private:
    ControlPlane& plane_;
    const std::string runtime_;
    const fs::path state_;
    asio::io_context io_;
    std::unique_ptr<process::Child> child_;
};

class TwoHosts : public OnEachRuntime {
  protected:
    static void send(ControlPlane& plane, json::object command) {
        command["callback_stream"] = "hosts:answers";
        plane.redis({"XADD", "worker:commands", "*", "data", json::serialize(command)});
    }
    static json::object ask(ControlPlane& plane, json::object command) {
        const auto id = new_uuid();
        command["request_id"] = id;
        send(plane, command);
        json::object found;
        eventually(
            "an answer to " + json::serialize(command),
            [&] {
                for (const auto& entry : plane.stream("hosts:answers")) {
                    auto answer = json::parse(*entry.field("data")).as_object();
                    if (answer.at("request_id").as_string() == id) found = std::move(answer);
                }
                return !found.empty();
            },
            120s);
        return found;
    }
    static json::object create(const std::string& name) {
        return {{"command", "create"},
                {"config",
                 {{"name", name},
                  {"worker_type", "developer"},
                  {"agent_type", "custom"},
                  {"instructions", ""},
                  {"allowed_commands", json::array{"result"}},
                  {"capabilities", json::array{"git"}},
                  {"env_vars", json::object{}},
                  {"command", json::array{"/bin/sh", "-c", "orchestrator result --status success --summary done"}}}},
                {"context", {{"user_id", "1"}}}};
    }
    static std::string host_of(ControlPlane& plane, const std::string& worker) {
        return plane.redis({"HGET", "worker:status:" + worker, "host"}).text;
    }
};

TEST_P(TwoHosts, EachHasItsOwnWorkersAndEveryCommandReachesTheRightOne) {
    ControlPlane plane(
        {.runtime = runtime(),
         .environment = {{"CODEGEN_HOST", "north"}, {"MAX_CONCURRENT_WORKERS", "2"}, {"WORKER_MEMORY_LIMIT", "64m"}}});
    SecondHost south(plane, runtime());
    std::map<std::string, std::vector<std::string>> workers;
    for (int i = 0; i < 6; ++i) {
        const auto name = "two-" + std::to_string(i);
        const auto made = ask(plane, create(name));
        ASSERT_TRUE(made.at("success").as_bool()) << json::serialize(made);
        eventually("the host of " + name, [&] { return !host_of(plane, name).empty(); });
        workers[host_of(plane, name)].push_back(name);
    }
    EXPECT_LE(workers["north"].size(), 2u) << "no more than it has room for";
    EXPECT_GE(workers["south"].size(), 4u);
    EXPECT_EQ(south.bodies(), workers["south"].size());

    // A manager that dies and comes back adopts its own and leaves the other's alone.
    south.kill_hard();
    south.start();
    plane.kill_hard();
    plane.start();
    for (const auto& [host, names] : workers)
        for (const auto& name : names) {
            eventually(name + " runs",
                       [&] { return plane.redis({"HGET", "worker:status:" + name, "status"}).text == "RUNNING"; });
            EXPECT_EQ(ask(plane, {{"command", "status"}, {"worker_id", name}}).at("status").as_string(), "running");
            plane.redis({"XADD", "worker:" + name + ":input", "*", "data",
                         json::serialize(json::object{{"request_id", "work-" + name},
                                                      {"task_id", new_uuid()},
                                                      {"project_id", new_uuid()},
                                                      {"prompt", "x"}})});
        }
    eventually("each worker's result, once", [&] { return plane.stream("worker:developer:output").size() == 6; }, 60s);
    for (const auto& [host, names] : workers)
        for (const auto& name : names)
            EXPECT_TRUE(ask(plane, {{"command", "delete"}, {"worker_id", name}}).at("success").as_bool());
    EXPECT_EQ(south.bodies(), 0u);
    EXPECT_TRUE(fs::is_empty(south.state() / "workers"));
    EXPECT_EQ(plane.stream("worker:developer:output").size(), 6u);
    check_history(plane, {}, 0);
}

// A repository of the control plane's own disk is where its tasks run; the other host does not stand in the way.
TEST_P(TwoHosts, TasksOfLocalRepositoriesRunWhereTheRepositoryIs) {
    ControlPlane plane(
        {.runtime = runtime(), .environment = {{"CODEGEN_HOST", "north"}, {"WORKER_MEMORY_LIMIT", "64m"}}});
    SecondHost south(plane, runtime());
    const auto project = plane.create_project("p");
    std::vector<std::string> tasks;
    for (int i = 0; i < 4; ++i) tasks.push_back(plane.start_task(project, "echo x > x; " + kCommitAndReport));
    for (const auto& task : tasks) {
        EXPECT_EQ(plane.wait_for_end(task).at("status").as_string(), "completed");
        EXPECT_EQ(host_of(plane, "dev-" + task + "-1"), "north");
    }
    check_history(plane, tasks, 0);
}

CODEGEN_ON_EACH_RUNTIME(TwoHosts);

}  // namespace
}  // namespace codegen::testing
