// Finds or builds the image of (agent, capabilities) on one engine. Concurrent requests for one image build it once.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "services/worker-manager/runtime/agent_store.hpp"
#include "services/worker-manager/runtime/image_recipe.hpp"
#include "services/worker-manager/runtime/own_image.hpp"
#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/async/single_flight.hpp"
#include "shared/clients/docker/docker_client.hpp"

namespace codegen::worker_manager {

struct ImageOptions {
    std::filesystem::path images;         // <state>/images: <hash>.log of each build, made 0700
    std::filesystem::path agents;         // <state>/agents
    std::filesystem::path image_scripts;  // the project's images folder
    std::filesystem::path agent_scripts;  // with <agent>/install.sh
    std::string base_image;               // setting WORKER_BASE_IMAGE; empty: debian:bookworm-slim, or one made here
    std::chrono::milliseconds build_limit = std::chrono::minutes(20);
};

class ImageBuilder {
  public:
    using Progress = std::function<void(std::string)>;
    // `client` outlives this. `installation`: whose images these are, as their labels say.
    ImageBuilder(clients::DockerClient& client, ImageOptions options, std::string installation);

    // The tag "worker:<hash>", or the user's own image as it was named (pulled when it is not here). Errors: "invalid"
    // for what no image can give, "failed" with the failing step and where the log is, "unavailable" for the engine or
    // a registry.
    Task<Result<std::string>> ensure(ImageRequest request, Progress progress);

  private:
    struct Base {
        std::string reference;
        std::string id;
    };
    Task<Result<std::string>> own_image(ImageRequest request, Progress progress);
    Task<Result<clients::Image>> find_or_pull(std::string reference, Progress progress);
    Task<Result<Base>> base(Progress progress);
    Task<Result<Base>> find_or_make_base(Progress progress);
    Task<Result<Base>> make_base(std::string tag, Progress progress);
    Task<Result<std::string>> build(ImageRecipe recipe, std::string tag, Progress progress);
    Task<ImageRecipe> with_host_sources(ImageRecipe recipe);

    clients::DockerClient& client_;
    const ImageOptions options_;
    const std::string installation_;
    AgentStore agents_;
    async::SingleFlight<Base> bases_;
    async::SingleFlight<std::string> builds_;
    std::map<std::string, OwnImageFacts> looked_into_;  // by image id and loader
};

}  // namespace codegen::worker_manager
