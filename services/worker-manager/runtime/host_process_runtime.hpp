// Runtime "process": as the sandbox, but without a wall - for the inside of an unprivileged container, where neither
// namespaces nor an engine are to be had and the outer container is the wall. The agent is a plain process with a uid
// of its own or, when the control plane is not root, with the control plane's. Its whole tree is killed, memory and
// processes are limited by cgroup or rlimit. It shares the host's network, and reads what its uid may read.
#pragma once
#include "services/worker-manager/runtime/sandbox_runtime.hpp"

namespace codegen::worker_manager {

class HostProcessRuntime final : public SandboxRuntime {
  public:
    // `scripted_only`: nobody asked for this runtime by name, so real agents are refused.
    HostProcessRuntime(asio::any_io_executor executor, SandboxOptions options, bool scripted_only);

    // What is missing here, for people, in one line.
    static std::string warning(bool root);

    std::string name() const override { return "process"; }
    Task<Result<void>> probe() override;
    Task<Result<std::string>> prepare_image(ImageRequest request, std::function<void(std::string)> progress) override;
    Task<Result<std::pair<int, std::string>>> run_inside(std::string worker_id, std::vector<std::string> argv,
                                                         std::chrono::milliseconds timeout) override;

  protected:
    Result<void> write_files(const BodySpec& spec, const SandboxTools& tools) override;
    Task<void> end_leftovers(std::string worker_id) override;

  private:
    std::optional<contracts::WrapperConfig> config_of(const std::string& worker_id) const;
    process::Spec beside_agent(const contracts::WrapperConfig& config, std::vector<std::string> argv) const;

    const bool scripted_only_;
};

}  // namespace codegen::worker_manager
