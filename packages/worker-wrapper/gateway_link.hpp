// wrapper/control.sock of the gateway: tells it which run the agent's model requests belong to, and hears when one must
// end. A JSON object a line, each way; the messages are in services/worker-manager/gateway/control_socket.hpp.
//
// Reconnected for ever with backoff; what the gateway had counted is told to its successor. A run goes on while it is
// away: without it the agent reaches no model either.
#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "packages/worker-wrapper/agent_names.hpp"
#include "packages/worker-wrapper/loop.hpp"
#include "shared/contracts/vocabulary.hpp"

namespace codegen::wrapper {

class GatewayLink {
  public:
    // The gateway ends the run that is announced.
    using OnStop = std::function<void(contracts::FailureReason reason, std::string error)>;
    GatewayLink(Loop& loop, std::string socket_path, OnStop on_stop);
    ~GatewayLink();
    GatewayLink(const GatewayLink&) = delete;
    GatewayLink& operator=(const GatewayLink&) = delete;

    void start();
    // `allowed_commands`: of the worker's, those that the request permits; absent: all of them.
    void begin(std::string request_id, std::optional<double> budget_usd,
               std::optional<std::vector<std::string>> allowed_commands);
    void end();  // of that run: no process of it is left

  private:
    struct Announced {
        std::string request_id;
        std::optional<double> budget_usd;
        std::optional<std::vector<std::string>> allowed_commands;
        double tokens = 0;  // as the gateway has told
        double usd = 0;
    };
    void connect();
    void lost(std::string_view why);
    void ready();
    void take_line(std::string_view line);
    void announce();
    void say(const std::string& line);

    Loop& loop_;
    const std::string path_;
    const OnStop on_stop_;
    posix::Fd fd_;
    std::optional<LineSplitter> lines_;  // of this connection
    std::optional<Announced> run_;
    std::chrono::milliseconds backoff_{0};
    Loop::TimerId retry_ = 0;
    bool said_lost_ = false;
};

}  // namespace codegen::wrapper
