// The agents' own programs: native files, fetched from npm at a pinned version by
// shared/agents/<agent>/install.sh and kept in <state>/agents/<agent>-<version>/. Used by the sandbox directly and
// copied into images.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/async/async.hpp"
#include "shared/async/single_flight.hpp"
#include "shared/contracts/contracts.hpp"

namespace codegen::worker_manager {

struct AgentBinary {
    std::string agent;                      // "claude"
    std::string version;                    // pinned
    std::string folder;                     // below <state>/agents: "claude-2.1.197"
    std::string program;                    // file in it: "claude"
    std::vector<std::string> companions{};  // files that the program looks for beside itself
    std::string inside_folder() const { return "/opt/codegen/agents/" + agent; }
    std::string inside() const { return inside_folder() + "/" + program; }
};
// nullopt: the agent needs no program of its own (custom).
std::optional<AgentBinary> agent_binary(contracts::AgentType type);

class AgentStore {
  public:
    // `agents`: <state>/agents, made 0755. `scripts`: the folder with <agent>/install.sh.
    AgentStore(std::filesystem::path agents, std::filesystem::path scripts);

    const std::filesystem::path& directory() const { return agents_; }
    // Installs what is missing; returns the program's path. Concurrent calls in this and other processes install once.
    // Errors carry the script's last line.
    Task<Result<std::filesystem::path>> ensure(AgentBinary binary, std::function<void(std::string)> progress);

  private:
    Task<Result<std::filesystem::path>> install(AgentBinary binary, std::function<void(std::string)> progress);

    const std::filesystem::path agents_;
    const std::filesystem::path scripts_;
    async::SingleFlight<std::filesystem::path> flights_;
};

}  // namespace codegen::worker_manager
