// wrapper/control.sock: what the gateway and the wrapper of one worker tell each other, a JSON object a line.
//   wrapper: {"run": REQUEST_ID, "allowed_commands"?: [TEXT], "budget_usd"?: N, "tokens"?: N, "usd"?: N}
//                                                                              a run begins, or the gateway is back
//            {"ended": REQUEST_ID}                                             every process of it is gone
//            {"idle": true}                                                    the gateway is back, and nothing runs
//   gateway: {"run": REQUEST_ID, "tokens": N, "usd": N}                       what it has used so far
//            {"run": REQUEST_ID, "stop": "budget"|"provider_error", "error": TEXT}
// The agent cannot reach it: the directory is the wrapper's, as for redis.sock. As long as nobody is connected who has
// said what runs, the worker is not permitted anything that a request could have forbidden it.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "services/worker-manager/gateway/doors.hpp"

namespace codegen::worker_manager {

class ControlSocket {
  public:
    explicit ControlSocket(asio::any_io_executor executor, Gate gate);
    ~ControlSocket();
    Result<void> listen(const std::filesystem::path& path);
    Task<void> close();

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

// One line of the wrapper. Returns what to answer at once, or "".
std::string take_control_line(const Gate& gate, std::string_view line);

}  // namespace codegen::worker_manager
