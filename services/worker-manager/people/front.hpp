// The manager's HTTP for people (docs/protocols.md, "The manager's HTTP"): workers listed, shown, read, entered and
// deleted; images listed and pruned. Every request needs a token that the API knows; whose workers it reaches is
// decided here, not by the client.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/worker-manager/images.hpp"
#include "services/worker-manager/people/caller.hpp"
#include "services/worker-manager/people/evidence.hpp"
#include "services/worker-manager/people/options.hpp"
#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/http/router.hpp"
#include "shared/http/server.hpp"

namespace codegen::worker_manager {

// What the manager does for it.
struct FrontDoorways {
    std::function<std::vector<contracts::WorkerView>()> workers;      // also those deleted within a day
    std::function<Task<Result<void>>(std::string worker_id)> remove;  // begins the normal deletion
    std::function<std::filesystem::path(const std::string& worker_id)> state_directory;  // of a living one
    std::string host;                                                                    // this one's name
    Images* images = nullptr;                                                            // outlives the front
};

// Use on one thread. Runtime and evidence outlive it.
class Front {
  public:
    static Result<std::unique_ptr<Front>> make(asio::any_io_executor executor, PeopleOptions options,
                                               const std::string& api_url, FrontDoorways doorways,
                                               WorkerRuntime& runtime, Evidence& evidence,
                                               std::shared_ptr<const Redactor> redact);
    ~Front();

    // Listens on `socket` (0600), and on the options' address. A socket on which another process listens is left to
    // it, with a line in the log.
    Result<void> open(const std::filesystem::path& socket);
    std::string url() const;  // what others should use
    // Ends what is being followed or run, then closes.
    Task<void> stop();

  private:
    struct Impl;
    explicit Front(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace codegen::worker_manager
