// The one client of the Docker Engine API (v1.41, https://docs.docker.com/engine/api/v1.41/) over its unix socket.
//
// Errors: transient "unavailable" when the engine cannot be reached or the connection broke, transient "timeout" when
// it did not answer in time: both mean unknown, never dead. Permanent "not_found" (404), "conflict" (409), "invalid"
// (400), "failed" (a build that failed), "protocol"; transient "engine" (5xx). Messages carry the engine's own words.
// Use on one thread. Cancelling a call closes its connection; the engine may still do what was asked.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/async/async.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/clients/docker/container_spec.hpp"
#include "shared/clients/docker/tar.hpp"
#include "shared/http/client.hpp"

namespace codegen::clients {

inline constexpr std::string_view kDefaultDockerHost = "unix:///var/run/docker.sock";

struct EngineVersion {
    std::string version;      // "20.10.24"
    std::string api_version;  // "1.41"
};

struct Image {
    std::string id;                         // "sha256:..."
    std::string parent;                     // "" for imported and pulled images
    std::vector<std::string> tags;          // "worker:ab12"
    std::vector<std::string> repo_digests;  // "debian@sha256:..."; empty for images that were built or imported here
    std::map<std::string, std::string> labels;
    std::int64_t size = 0;                 // bytes
    Timestamp created{};                   // when it was built
    std::string os;                        // "linux"; inspect only, as the two below
    std::string machine;                   // "amd64"
    std::vector<std::string> environment;  // "NAME=value"
};

struct Container {
    std::string id;
    std::string name;    // without the leading slash
    std::string status;  // created, running, paused, restarting, removing, exited, dead
    bool running = false;
    int pid = 0;        // on the host; 0 when it does not run; inspect only
    int exit_code = 0;  // inspect only
    bool out_of_memory = false;
    std::string error;  // why it could not be started
    std::map<std::string, std::string> labels;
    std::string image_id;  // "sha256:..."
};

struct ContainerEvent {
    std::string action;  // "die", "oom", "start", ...
    std::string id;
    std::map<std::string, std::string> attributes;  // labels, "name", "exitCode"
    std::int64_t time_ns = 0;
};

struct BuildRequest {
    std::string tag;
    std::map<std::string, std::string> labels;
    std::map<std::string, std::string> arguments;  // ARG; http_proxy and its like stay out of the history
    BodySource context;                            // a tar with a Dockerfile at its top
    bool pull = false;
};

struct ExecRequest {
    std::vector<std::string> argv;
    std::string user;  // "10001:10001"
    std::string working_directory;
    std::vector<std::string> environment;  // "NAME=value"
};

struct ExecOutcome {
    int exit_code = 0;
    std::string output;  // stdout and stderr as they came
    bool truncated = false;
};

class DockerClient {
  public:
    using OnLine = std::function<void(std::string)>;

    // docker_host as in DOCKER_HOST: unix:///path only; anything else is "invalid" (this client builds containers with
    // bind mounts: the engine must be on this machine).
    static Result<DockerClient> make(asio::any_io_executor executor, std::string_view docker_host = kDefaultDockerHost);

    Task<Result<EngineVersion>> version();
    Task<Result<void>> ping();

    Task<Result<Image>> inspect_image(std::string reference);
    Task<Result<std::vector<Image>>> list_images(std::string label);  // "name" or "name=value"
    Task<Result<std::vector<Image>>> list_all_images();               // also untagged and intermediate ones
    Task<Result<void>> tag_image(std::string reference, std::string repository, std::string tag);
    // Without force an image that a container uses, also one that stands still, is a "conflict".
    Task<Result<void>> remove_image(std::string reference, bool force);
    // Removes images without a name that no other image is built on and that carry the label: what builds leave behind.
    // Returns the bytes that came free.
    Task<Result<std::int64_t>> prune_untagged_images(std::string label);
    // The long ones: `limit` is for the whole; they return the image id ("" for pull). Lines for people.
    Task<Result<std::string>> pull_image(std::string reference, OnLine on_line, std::chrono::milliseconds limit);
    Task<Result<std::string>> import_image(BodySource root_tar, std::string repository, std::string tag, OnLine on_line,
                                           std::chrono::milliseconds limit);
    Task<Result<std::string>> build_image(BuildRequest request, OnLine on_line, std::chrono::milliseconds limit);

    Task<Result<std::string>> create_container(std::string name, ContainerSpec spec);  // -> id
    Task<Result<void>> start_container(std::string id);
    Task<Result<void>> rename_container(std::string id, std::string name);  // name taken: "conflict"
    // SIGTERM, after `grace` SIGKILL; returns when it stands still. Not running: success.
    Task<Result<void>> stop_container(std::string id, std::chrono::seconds grace);
    Task<Result<void>> kill_container(std::string id, std::string signal = "SIGKILL");  // not running: "conflict"
    // Every process of it is held still. Errors: it does not run; it is paused, or not paused, already.
    Task<Result<void>> pause_container(std::string id);
    Task<Result<void>> unpause_container(std::string id);
    Task<Result<int>> wait_container(std::string id);  // exit code; waits without limit
    Task<Result<Container>> inspect_container(std::string id);
    Task<Result<std::vector<Container>>> list_containers(std::vector<std::string> labels);  // all states; none: all
    // A file, folder or link in it, whether it runs or not; the path is resolved inside.
    Task<Result<bool>> path_exists(std::string id, std::string path);
    Task<Result<void>> remove_container(std::string id, bool force);
    Task<Result<std::string>> container_logs(std::string id, int tail_lines);  // stdout and stderr, at most 1 MB
    // At most `output_limit` bytes are kept. Beyond `limit`: "timeout", and the command runs on (inspect_exec_pid).
    Task<Result<ExecOutcome>> exec(std::string container, ExecRequest request, std::chrono::milliseconds limit,
                                   std::size_t output_limit = 1u << 20,
                                   std::function<void(std::string exec_id)> on_created = {});
    Task<Result<int>> exec_pid(std::string exec_id);  // on the host; 0 when it does not run

    // Container events of one label from `since` on, one after the other, until the engine closes the stream (error
    // "unavailable") or the coroutine is cancelled. `on_connected` is called when the engine listens.
    Task<Result<void>> events(std::string label, std::vector<std::string> actions,
                              std::optional<std::chrono::sys_seconds> since, std::function<Task<void>()> on_connected,
                              std::function<Task<void>(ContainerEvent)> on_event);

  private:
    DockerClient(asio::any_io_executor executor, std::string socket);
    Task<Result<http::Response>> call(std::string method, std::string target, std::optional<boost::json::value> body,
                                      std::chrono::milliseconds timeout);
    Task<Result<boost::json::value>> call_json(std::string method, std::string target,
                                               std::optional<boost::json::value> body = {},
                                               std::chrono::milliseconds timeout = std::chrono::seconds(30));

    std::string socket_;
    std::shared_ptr<http::Client> http_;
};

}  // namespace codegen::clients
