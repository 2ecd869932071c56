// The services of one process, made from the settings.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "apps/orchestratord/configuration.hpp"
#include "apps/orchestratord/state_directory.hpp"
#include "shared/redis/client.hpp"

namespace codegen::orchestratord {

struct TcpAddress {
    std::string host;
    std::uint16_t port = 0;
};
// "127.0.0.1:8000", "[::1]:8000"; the error names the setting.
Result<TcpAddress> parse_tcp(std::string_view setting, std::string_view text);

// Use on one thread. Configuration and state outlive it.
class Roles {
  public:
    Roles(asio::any_io_executor executor, const Configuration& configuration, const StateDirectory& state,
          redis::Address redis);
    ~Roles();

    // Opens the store and everything that must answer before work starts. `shared` (serve): other processes may run the
    // same roles; the API listens on 127.0.0.1:8000 unless API_ADDRESS says otherwise. Returns one line for people:
    // where workers run, and why there.
    Task<Result<std::string>> open(std::vector<std::string> names, bool shared);
    // Runs the roles until one ends with a fatal error, or stop().
    Task<Result<void>> run();
    Task<Result<void>> check_database();  // whether it answers; for readiness
    Task<void> stop();                    // in the order in which they need each other; the API last

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace codegen::orchestratord
