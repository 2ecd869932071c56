// What image builds of one installation left on an engine, found by label. Images of other installations, of people
// and the base images are none of ours and are never touched.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/clients/docker/docker_client.hpp"

namespace codegen::worker_manager {

// Labels of every image and build step of an installation.
std::map<std::string, std::string> image_labels(const std::string& installation);

// Use on one thread.
class BuiltImages {
  public:
    // `client` outlives this. `logs`: <state>/images, where <hash>.log of each build is.
    BuiltImages(clients::DockerClient& client, std::string installation, std::filesystem::path logs);

    Task<Result<std::vector<BuiltImage>>> list();
    Task<Result<void>> remove(std::string tag);  // and its log
    Task<Result<std::int64_t>> clear_leftovers(std::chrono::milliseconds keep_logs);

  private:
    std::int64_t clear_logs(const std::vector<BuiltImage>& kept, std::chrono::milliseconds keep_logs) const;
    std::filesystem::path log_of(const std::string& tag) const;

    clients::DockerClient& client_;
    const std::string installation_;
    const std::filesystem::path logs_;
};

}  // namespace codegen::worker_manager
