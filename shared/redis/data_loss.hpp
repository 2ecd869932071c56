// Notices that Redis lost data: flushed, come back empty, or with an older state (an append-only file loses up to two
// seconds when the server is killed).
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "shared/redis/client.hpp"

namespace codegen::redis {

// Counts up in the key codegen:epoch:<name>, once an interval; a smaller count than this process has written, or none,
// means loss. Several processes may share a name: each notices for itself.
class DataLossDetector {
  public:
    // `on_loss` is called for every loss before the marker is set again (also at the first look when there is none:
    // Redis may have lost everything while this process was not running). When it fails it is called again an interval
    // later.
    DataLossDetector(asio::any_io_executor executor, Address address, std::string name,
                     std::function<Task<Result<void>>()> on_loss,
                     std::chrono::milliseconds interval = std::chrono::milliseconds(1000));
    ~DataLossDetector();
    Task<void> run();  // until cancelled or this object is gone; looks at once after every reconnect

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace codegen::redis
