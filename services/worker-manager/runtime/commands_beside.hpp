// Commands that people have run beside an agent (`worker exec`). They are children of this process, in no tree of the
// worker's: so that none outlives its worker, each is known by it here.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <string>

#include "shared/process/process.hpp"

namespace codegen::worker_manager {

class CommandsBeside {
  public:
    explicit CommandsBeside(asio::any_io_executor executor) : executor_(std::move(executor)) {}

    // As process::run(). Error: transient "cancelled" when the worker is closed, or is meanwhile; every process of the
    // command is dead then.
    Task<Result<process::Outcome>> run(std::string worker_id, process::Spec spec, process::Limits limits);

    // As long as it lives, no command of the worker begins. Those that run are told to end.
    class Closed;
    std::shared_ptr<Closed> close(const std::string& worker_id);
    // Returns when none runs any more. Of a closed worker.
    Task<void> ended(std::string worker_id);

  private:
    struct Commands {
        explicit Commands(const asio::any_io_executor& executor)
            : closing(executor, asio::steady_timer::time_point::max()),
              changed(executor, asio::steady_timer::time_point::max()) {}
        asio::steady_timer closing;  // never expires; cancelled when the worker is closed
        asio::steady_timer changed;  // the same, when a command has ended
        int running = 0;
        int closed = 0;  // how many close() are alive
    };
    std::shared_ptr<Commands> of(const std::string& worker_id);

    const asio::any_io_executor executor_;
    std::map<std::string, std::weak_ptr<Commands>> commands_;
};

class CommandsBeside::Closed {
  public:
    explicit Closed(std::shared_ptr<Commands> commands) : commands_(std::move(commands)) {
        ++commands_->closed;
        commands_->closing.cancel();
    }
    Closed(const Closed&) = delete;
    ~Closed() { --commands_->closed; }

  private:
    std::shared_ptr<Commands> commands_;
};

// What a shell does before it becomes the command: its two outputs are one, and where no cgroup bounds the worker it is
// limited as the agent is. 0: no limit.
std::vector<std::string> shell_beside(std::vector<std::string> argv, std::int64_t max_processes,
                                      std::int64_t data_bytes);

}  // namespace codegen::worker_manager
