// agent/agent.sock in the gateway directory: `orchestrator result` hands the verdict over. One JSON line in, one out,
// any number of times a connection.
#pragma once
#include <functional>
#include <map>
#include <string>

#include "packages/worker-wrapper/loop.hpp"
#include "shared/contracts/queues/agent.hpp"
#include "shared/contracts/wrapper_config.hpp"

namespace codegen::wrapper {

// The answer to one request line. `take` is called with a valid, permitted verdict and says why it cannot take it, or
// "". Pure.
std::string answer_agent_line(std::string_view line, const std::vector<std::string>& allowed_commands,
                              const std::function<std::string(contracts::AgentVerdict)>& take);

class AgentSocket {
  public:
    using OnLine = std::function<std::string(std::string_view line)>;  // the answer, without line end
    AgentSocket(Loop& loop, OnLine on_line) : loop_(loop), on_line_(std::move(on_line)) {}
    ~AgentSocket();
    AgentSocket(const AgentSocket&) = delete;

    Result<void> listen(const contracts::WrapperConfig& config);  // 0660, group of the agent

  private:
    struct Peer {
        posix::Fd fd;
        std::string in;
    };
    void accept();
    void ready(int fd);
    void close(int fd);

    Loop& loop_;
    const OnLine on_line_;
    posix::Fd listener_;
    std::map<int, Peer> peers_;
};

}  // namespace codegen::wrapper
