// A worker's door to Redis: each connection gets an upstream connection of its own, authenticated as the worker's ACL
// user by us. The caller cannot shed that user: AUTH, HELLO, RESET and inline commands are refused.
#pragma once
#include <filesystem>
#include <memory>

#include "services/worker-manager/gateway/identity.hpp"
#include "shared/redis/client.hpp"

namespace codegen::worker_manager {

// Use on one thread. The ACL user is made before every new upstream connection, so a Redis that came back empty just
// works. Its random password is in memory only.
class RedisProxy {
  public:
    // `admin` must outlive the proxy; it may set users at `upstream`, whose credentials are not used.
    RedisProxy(asio::any_io_executor executor, redis::Client& admin, redis::Address upstream, GatewayIdentity identity);
    ~RedisProxy();

    // Serves `path` (0600) from now on; replaces a stale socket file.
    Result<void> listen(const std::filesystem::path& path);
    // Ends listener and connections, waits for them; the file goes.
    Task<void> close();

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace codegen::worker_manager
