// One unprivileged host uid for each sandbox worker of a control plane that runs as root. The owner of a worker's home
// directory is the record of what was given: it survives a restart, and it goes with the directory.
#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "services/worker-manager/runtime/worker_runtime.hpp"

namespace codegen::worker_manager {

class AgentIdentities {
  public:
    AgentIdentities(std::filesystem::path workers, int uid_base, int count);

    // The worker's own, the same until release() and as long as its directories stand; never one of another worker.
    AgentIdentity of(const std::string& worker_id);
    void release(const std::string& worker_id);

  private:
    int recorded(const std::string& worker_id) const;  // uid of its home when that is one of the range, else -1

    const std::filesystem::path workers_;
    const int base_;
    const int count_;
    std::map<std::string, int> given_;
};

}  // namespace codegen::worker_manager
