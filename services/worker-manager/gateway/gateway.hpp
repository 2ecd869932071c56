// The gateway of one worker: the sockets in workers/<id>/gateway through which alone it reaches anything.
//   wrapper/redis.sock   Redis as the worker's ACL user (wrapper only: the directory is 0700)
//   wrapper/control.sock what it and the wrapper tell each other of a run (control_socket.hpp)
//   http.sock            /api/, /streams/, /model/, CONNECT (0660, the agent's group)
//   agent/               empty; the wrapper makes its agent.sock there or on a mount over it
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "services/worker-manager/gateway/counts.hpp"
#include "services/worker-manager/gateway/identity.hpp"
#include "services/worker-manager/gateway/settings.hpp"
#include "shared/http/message.hpp"
#include "shared/redis/client.hpp"

namespace codegen::worker_manager {

// Use on one thread. `redis` must outlive it. Sockets that a former manager left at the same place are replaced.
class Gateway {
  public:
    // `counts`: where counting goes on. Error: an address in the settings that cannot be read.
    static Result<std::unique_ptr<Gateway>> make(asio::any_io_executor executor, redis::Client& redis,
                                                 std::shared_ptr<const GatewaySettings> settings,
                                                 GatewayIdentity identity, GatewayCounts counts = {});
    ~Gateway();

    // The directories that open() makes, without serving.
    static Result<void> make_directories(const std::filesystem::path& directory, int agent_gid);
    // Makes `directory` and what is in it, owned by us with group `agent_gid`, and serves.
    Result<void> open(const std::filesystem::path& directory, int agent_gid);
    // The worker's token for the API; requests that need it wait for it. In memory only.
    void set_token(std::string token);
    // What the worker's task has used before, by other workers: it counts against the task's limits.
    void add_earlier(std::int64_t tokens, double usd);
    GatewayCounts counts() const;
    // Ends every connection; the socket files go.
    Task<void> close();

  private:
    struct Impl;
    explicit Gateway(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace codegen::worker_manager
