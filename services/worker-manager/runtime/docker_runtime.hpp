// Runtime "docker": one container for each body, its PID 1 the wrapper (docs: workers, "Docker"). Containers are named
// worker-<id> and labelled codegen.installation, .host, .worker, .attempt: that is what a restarted manager finds. One
// that was prepared is labelled codegen.prepared and renamed when it is claimed: then its name says whose it is.
#pragma once
#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "services/worker-manager/runtime/built_images.hpp"
#include "services/worker-manager/runtime/image_builder.hpp"
#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/clients/docker/docker_client.hpp"

namespace codegen::worker_manager {

struct DockerOptions {
    std::string installation;
    std::string docker_host = std::string(clients::kDefaultDockerHost);  // setting DOCKER_HOST
    ImageOptions images;
    std::filesystem::path workers;  // <state>/workers
};

// The engine's socket and the group that may use it.
struct EngineSocket {
    std::filesystem::path path;
    int group = 0;
};
inline constexpr std::string_view kEngineSocketInside = "/var/run/docker.sock";
// Error "unavailable" when the socket is none, or gives its group nothing.
Result<EngineSocket> engine_socket(const std::string& docker_host);

// The container of a body: pure. `agent_mount`: the agent's program from the store, for images that do not hold it.
clients::ContainerSpec container_spec(const BodySpec& spec, const std::optional<std::filesystem::path>& agent_mount,
                                      const std::optional<EngineSocket>& socket = {});
// spec.config with the paths of this runtime.
contracts::WrapperConfig docker_config(const BodySpec& spec);

class DockerRuntime final : public WorkerRuntime {
  public:
    static Result<std::unique_ptr<DockerRuntime>> make(asio::any_io_executor executor, DockerOptions options);

    std::string name() const override { return "docker"; }
    Task<Result<void>> probe() override;
    Task<Result<std::string>> prepare_image(ImageRequest request, std::function<void(std::string)> progress) override;
    Task<Result<std::vector<BuiltImage>>> built_images() override { return built_.list(); }
    Task<Result<void>> remove_image(std::string tag) override { return built_.remove(std::move(tag)); }
    Task<Result<std::int64_t>> clear_build_leftovers(std::chrono::milliseconds keep_logs) override {
        return built_.clear_leftovers(keep_logs);
    }
    AgentIdentity agent_identity(const std::string& worker_id) override;
    Task<Result<std::string>> start(BodySpec spec) override;
    bool prepares() const override { return true; }
    Task<Result<std::string>> claim(std::string slot, BodySpec spec) override;
    Task<Result<void>> remove(std::string worker_id, std::chrono::milliseconds grace) override;
    Task<Result<void>> pause(std::string worker_id) override;
    Task<Result<void>> resume(std::string worker_id) override;
    Task<Result<std::vector<Body>>> list() override;
    Task<void> watch(std::function<Task<void>(BodyEnd)> on_end) override;
    Task<Result<std::pair<int, std::string>>> run_inside(std::string worker_id, std::vector<std::string> argv,
                                                         std::chrono::milliseconds timeout) override;

  private:
    DockerRuntime(clients::DockerClient client, DockerOptions options);
    Task<Result<std::string>> start_unbounded(BodySpec spec);
    Task<Result<std::string>> claim_unbounded(std::string slot, BodySpec spec);
    Task<Result<std::string>> create(std::string worker_id, clients::ContainerSpec spec);
    Task<Result<void>> remove_container(std::string id, std::chrono::milliseconds grace);
    Task<Result<clients::Container>> find(std::string worker_id);  // of this installation
    Task<void> report(std::string id, clients::ContainerEvent event, std::function<Task<void>(BodyEnd)> on_end);
    Task<void> report_ended(std::function<Task<void>(BodyEnd)> on_end);
    std::string installation_label() const { return "codegen.installation=" + options_.installation; }

    const DockerOptions options_;
    clients::DockerClient client_;
    ImageBuilder images_;
    BuiltImages built_;
    std::set<std::string> starting_;  // worker ids between create and start: not running, not ended
    std::set<std::string> reported_;  // container ids whose end was reported
    std::set<std::string> oom_seen_;  // container ids with an out-of-memory event
};

}  // namespace codegen::worker_manager
