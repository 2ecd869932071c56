// The whole product in a test: the real orchestratord, orchestrator and worker-wrapper, on a state directory of its
// own.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/process/process.hpp"
#include "shared/redis/client.hpp"

namespace codegen::testing {

struct CommandResult {
    int exit_code = -1;
    std::string output;
    std::string errors;
    boost::json::value json() const;  // of output; fails the test when it is not JSON
};

// Blocking, for tests; not thread-safe. Everything it started is gone after the destructor: control plane, workers,
// containers, state directory.
class ControlPlane {
  public:
    struct Options {
        std::string runtime = "sandbox";  // docker | sandbox | process, or ordinary: the sandbox of an ordinary user
        std::map<std::string, std::string> environment{};  // settings, e.g. ANTHROPIC_BASE_URL
    };
    explicit ControlPlane(Options options);
    ControlPlane(const ControlPlane&) = delete;
    ~ControlPlane();

    void start();      // until ready; the constructor does it the first time
    void stop();       // SIGTERM, must exit 0
    void kill_hard();  // SIGKILL to orchestratord alone (its private Redis dies with it)
    int pid() const;

    const std::filesystem::path& state() const { return state_; }
    const std::string& runtime() const { return options_.runtime; }

    // build/bin/orchestrator as the person who owns the state directory.
    CommandResult orchestrator(std::vector<std::string> arguments, std::string input = {},
                               std::map<std::string, std::string> environment = {});
    CommandResult run(std::vector<std::string> argv, std::chrono::seconds limit = std::chrono::seconds(60));

    std::string create_project(const std::string& name);
    // Starts an engineering task with a custom agent: `command` runs under bash -c. Returns the task's id.
    std::string start_task(const std::string& project, const std::string& command, const std::string& spec = "do it",
                           std::vector<std::string> more = {});
    boost::json::object task(const std::string& id);  // GET /api/tasks/{id}
    boost::json::value api(const std::string& target, const std::string& method = "GET", const std::string& body = {});
    // Waits until the task is completed, failed or cancelled; fails the test after `limit`.
    boost::json::object wait_for_end(const std::string& task, std::chrono::seconds limit = std::chrono::seconds(90));
    std::string reason(const boost::json::object& task);  // task.result.reason or ""

    redis::Reply redis(std::vector<std::string> command);             // as the control plane's own user
    std::vector<redis::StreamEntry> stream(const std::string& name);  // all entries
    // The worker of a task, from the naming rule, once its wrapper runs and its agent has written `marker` (a file in
    // the workspace); empty marker: as soon as the wrapper runs.
    std::string wait_for_worker(const std::string& task);
    std::filesystem::path worker_directory(const std::string& worker) const { return state_ / "workers" / worker; }
    // Docker: the container's id; sandbox: the pid of the wrapper.
    std::string body_id(const std::string& worker);
    void kill_body(const std::string& worker);  // docker kill; kill -9 of the wrapper

    std::string installation() const;  // what its containers' label codegen.installation says
    std::string log() const;           // of orchestratord, for failure messages

  private:
    Options options_;
    std::filesystem::path state_;
    asio::io_context io_;
    std::unique_ptr<process::Child> child_;
    std::unique_ptr<redis::Client> redis_;
};

// Polls until `condition` holds; fails the test naming `what` after `limit`. The only way tests wait.
bool eventually(const std::string& what, const std::function<bool()>& condition,
                std::chrono::milliseconds limit = std::chrono::seconds(30));

// Pids whose command line contains `needle`, below /proc of this machine (also inside containers and sandboxes).
std::vector<int> processes_with(const std::string& needle);

}  // namespace codegen::testing
