// A Docker engine of a test's own, in a network namespace of its own, that may be killed: containers outlive it
// (--live-restore). Needs root.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace codegen::testing {

// Blocking; gone with its containers and files after the destructor. The host's engine is only asked for images.
class DockerEngine {
  public:
    // Started, with the host engine's worker images: those without a capability beyond git and those of `capabilities`.
    // `arguments`: more of dockerd's.
    explicit DockerEngine(std::vector<std::string> arguments = {}, std::vector<std::string> capabilities = {});
    DockerEngine(const DockerEngine&) = delete;
    ~DockerEngine();

    std::string url() const { return "unix://" + socket().string(); }  // DOCKER_HOST
    void kill_hard();                                                  // SIGKILL to the engine; containers live on
    void start();                                                      // until it answers; again after kill_hard()

  private:
    std::filesystem::path socket() const { return directory_ / "sock"; }
    bool start_once();
    void copy_images(const std::vector<std::string>& capabilities);

    const std::filesystem::path directory_;
    const std::vector<std::string> arguments_;
    int pid_ = -1;
};

}  // namespace codegen::testing
