// Where the bodies of workers come from. Everything else - gateway, wrapper, adoption, admission - knows only this
// interface.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/async/async.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/contracts/contracts.hpp"
#include "shared/contracts/wrapper_config.hpp"

namespace codegen::worker_manager {

struct WorkerLimits {
    std::int64_t memory_bytes = 2ll << 30;
    double cpus = 2.0;
    std::int64_t processes = 512;
};

// Host paths of one worker: <state>/workers/<id>/...
struct WorkerDirectories {
    std::filesystem::path root;
    std::filesystem::path gateway() const { return root / "gateway"; }
    std::filesystem::path state() const { return root / "state"; }
    std::filesystem::path workspace() const { return root / "workspace"; }
    std::filesystem::path home() const { return root / "home"; }
};

struct BodySpec {
    std::string worker_id;
    std::string installation;  // label: whose workers these are; a manager touches only its own
    std::string host;
    int attempt = 1;
    std::string image;  // docker: tag from prepare_image(); sandbox: empty
    contracts::AgentType agent_type{};
    WorkerDirectories directories;   // made and filled by the manager, ownership by agent_identity()
    std::filesystem::path programs;  // host folder with `orchestrator` and `worker-wrapper`, shown at /opt/codegen/bin
    std::map<std::string, std::string>
        environment;  // of the wrapper; no secrets; WRAPPER_CONFIG is added by the runtime
    contracts::WrapperConfig
        config;  // paths and sandbox part are filled in by the runtime, which writes <state>/config.json
    WorkerLimits limits;
    std::string network = "none";  // Docker network name, or none
    std::filesystem::path login;   // host_session: a directory that the agent may write, at config.login; empty: none
    bool engine_socket = false;    // docker: the engine's socket, usable by the agent: root on this host
    std::string engine_runtime;    // docker: an isolating OCI runtime, in which the worker has an engine of its own
    // Nobody's yet: made and started under a slot's name in place of a worker id, it waits until claim() says whose it
    // is. Of `config` and `environment` nothing is used.
    bool prepared = false;
};

// The agent's uid and gid on the host, and the numeric identity for one worker (sandbox as root: one of its own per
// worker).
struct AgentIdentity {
    int uid;
    int gid;
};

struct ImageRequest {
    contracts::AgentType agent_type{};
    std::vector<contracts::Capability> capabilities;
    std::optional<std::string> image;  // the user's own
    bool needs_git = false;            // the worker gets a repository; what we build has git anyway
};

// A body that the runtime knows, running or ended. `body_id`: container id, or "pid:<pid>:<start time>" of the
// sandbox's wrapper.
struct Body {
    std::string worker_id;
    std::string body_id;
    int attempt = 1;
    bool running = false;
};

// A body ended. `exit_code` is absent when nobody could see it (adopted sandbox wrapper).
struct BodyEnd {
    std::string worker_id;
    std::string body_id;
    std::optional<int> exit_code;  // as a shell shows it: 128 + signal
    bool out_of_memory = false;    // the engine's or the cgroup's mark
};

// An image that this installation built, as the runtime keeps it.
struct BuiltImage {
    std::string tag;    // "worker:<hash>"
    std::string agent;  // "claude", or empty: none in it
    std::int64_t bytes = 0;
    Timestamp built_at{};
    bool in_use = false;  // a container of it exists, running or not
};

class WorkerRuntime {
  public:
    virtual ~WorkerRuntime() = default;
    virtual std::string name() const = 0;  // "docker", "sandbox", "process"

    // Can it run here, and if not, why (one line for people). Docker: the engine answers and we are root. Sandbox:
    // bwrap works.
    virtual Task<Result<void>> probe() = 0;
    // Finds or builds what a body of this request starts from; returns the image tag ("" for the sandbox). `progress`
    // gets lines for people. Concurrent requests for one image build once.
    virtual Task<Result<std::string>> prepare_image(ImageRequest request,
                                                    std::function<void(std::string)> progress) = 0;
    // What prepare_image() built here and is still there; a runtime without images has none.
    virtual Task<Result<std::vector<BuiltImage>>> built_images();
    // One of these. Error "conflict" while a container of it exists; unknown: success.
    virtual Task<Result<void>> remove_image(std::string tag);
    // What builds left behind: steps of failed ones, logs older than `keep_logs` of images that are gone. Not while a
    // build runs. Returns the bytes that came free.
    virtual Task<Result<std::int64_t>> clear_build_leftovers(std::chrono::milliseconds keep_logs);
    virtual AgentIdentity agent_identity(const std::string& worker_id) = 0;
    // Creates and starts. A body of that worker_id that already exists (an earlier attempt of ours) is removed first.
    // Returns the body id. Start limit 60 s, then "timeout".
    virtual Task<Result<std::string>> start(BodySpec spec) = 0;
    // Whether start() takes prepared bodies. Where making one is cheap there is nothing to gain.
    virtual bool prepares() const { return false; }
    // The prepared body `slot` becomes the body of spec.worker_id, whose directories are the slot's, renamed. Returns
    // the body id. After an error it may stand under either name; start() and remove() deal with both.
    virtual Task<Result<std::string>> claim(std::string slot, BodySpec spec) {
        co_return fail(ErrorCategory::permanent, "unsupported",
                       name() + " prepares no workers: " + slot + " cannot become " + spec.worker_id);
    }
    // SIGTERM, after `grace` SIGKILL to every process of it, then everything of it is removed (not the directories).
    // Unknown worker: success.
    virtual Task<Result<void>> remove(std::string worker_id, std::chrono::milliseconds grace) = 0;
    // Holds every process of it still, wrapper and agent: memory stays, nothing runs. Paused already: success.
    virtual Task<Result<void>> pause(std::string worker_id) = 0;
    // Not paused: success.
    virtual Task<Result<void>> resume(std::string worker_id) = 0;
    // All bodies of this installation, found by label (docker) or by pid file and start time (sandbox).
    // Error "unavailable" means unknown, never dead.
    virtual Task<Result<std::vector<Body>>> list() = 0;
    // Reports every end of a body of this installation, also of those that ended while we were away (found by list) -
    // at least once. Runs until cancelled; reconnects by itself.
    virtual Task<void> watch(std::function<Task<void>(BodyEnd)> on_end) = 0;
    // Runs a command inside, as the agent's identity, in the workspace: {exit code, output}. For people and tests.
    virtual Task<Result<std::pair<int, std::string>>> run_inside(std::string worker_id, std::vector<std::string> argv,
                                                                 std::chrono::milliseconds timeout) = 0;
};

inline Task<Result<std::vector<BuiltImage>>> WorkerRuntime::built_images() {
    std::vector<BuiltImage> none;
    co_return none;
}
inline Task<Result<void>> WorkerRuntime::remove_image(std::string) { co_return Result<void>(); }
inline Task<Result<std::int64_t>> WorkerRuntime::clear_build_leftovers(std::chrono::milliseconds) {
    co_return std::int64_t{0};
}

}  // namespace codegen::worker_manager
