// For the service tests: a real worker-wrapper with a real Redis and a minimal gateway directory, on the host beside
// its sandbox or as PID 1 of a container. A missing tool fails the test.
#pragma once
#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shared/contracts/wrapper_config.hpp"
#include "shared/resp/resp.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::wrapper {

enum class Form { sandbox, docker };

// Until `condition` holds; false after `limit`.
bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds limit = std::chrono::seconds(30));
// Runs a shell command; fails the test when it fails. Returns its stdout.
std::string shell(const std::string& command);

class PrivateRedis {
  public:
    explicit PrivateRedis(std::string socket, std::string directory);
    ~PrivateRedis() { kill(); }
    void start();  // empty: it keeps nothing on disk
    void kill();   // SIGKILL, and waits for its end
    redis::Reply command(const redis::Arguments& arguments);
    std::vector<redis::StreamEntry> entries(const std::string& stream);
    template <class T>
    std::vector<T> messages(const std::string& stream) {
        std::vector<T> out;
        for (const auto& entry : entries(stream)) {
            auto message = json::parse<T>(*entry.field("data"));
            EXPECT_TRUE(message) << *entry.field("data");
            if (message) out.push_back(std::move(*message));
        }
        return out;
    }

  private:
    const std::string socket_;
    const std::string directory_;
    pid_t pid_ = -1;
};

class TestWorker {
  public:
    // The agent is `bash -c script`. The workspace is a repository with one commit.
    TestWorker(Form form, const std::string& script);
    ~TestWorker();

    contracts::WrapperConfig config;  // change it before start()
    void as_ordinary_user();          // sandbox, before start(): the wrapper has the agent's uid and owns everything
    void start();
    void signal(int number);
    // Its end; the exit code as a shell shows it.
    int wait();
    pid_t pid() const { return pid_; }    // sandbox
    std::vector<pid_t> children() const;  // sandbox: of the wrapper
    void die();                           // SIGKILL to the wrapper; start() makes a new one with the same directories

    void send(const std::string& request_id, const std::string& prompt = "do it", int timeout = 60);
    void send_raw(const std::string& data);
    std::optional<contracts::DeveloperWorkerOutput> result(const std::string& request_id);
    // Waits for it.
    contracts::DeveloperWorkerOutput expect_result(const std::string& request_id);
    std::size_t results(const std::string& request_id);
    std::vector<contracts::AgentEvent> events() { return redis.messages<contracts::AgentEvent>("worker:w1:events"); }
    bool has_event(const std::string& text);
    std::vector<contracts::WorkerLifecycleEvent> lifecycle() {
        return redis.messages<contracts::WorkerLifecycleEvent>("worker:lifecycle");
    }
    // How many processes on this machine have this text in their command line (containers' are seen from outside).
    static int processes_with(const std::string& text);
    std::string log() const;
    std::string path(const std::string& name) const { return directory_ / name; }

    const Form form;

  private:
    testing::TempDirectory directory_;

  public:
    PrivateRedis redis;

  private:
    pid_t pid_ = -1;
    bool ordinary_user_ = false;
    std::string container_;
};

inline constexpr const char* kSuccess = R"(echo '<result>{"status":"success","summary":"ok"}</result>')";

}  // namespace codegen::wrapper
