// Everything that runs with the agent's rights: started, watched, killed as a whole. Docker: another uid in our
// container. Process: the same on the host, or our own uid. Sandbox: one bubblewrap each. One process tree at a time,
// beside it at most one sandbox that waits.
#pragma once
#include <sys/types.h>

#include <functional>
#include <string>

#include "packages/worker-wrapper/launch_plan.hpp"
#include "packages/worker-wrapper/loop.hpp"
#include "packages/worker-wrapper/outcome.hpp"
#include "packages/worker-wrapper/prepared_sandbox.hpp"
#include "shared/contracts/wrapper_config.hpp"

namespace codegen::wrapper {

class Body {
  public:
    struct Events {
        std::function<void(bool known)> session;  // before `started`, when the plan has one: it is resumed or new
        std::function<void()> started;
        std::function<void(std::string why)> failed;  // it never ran, `tree_gone` follows a kill()
        std::function<void(AgentEnd)> ended;          // the main process
        std::function<void()> tree_gone;              // after kill(): nothing is left
    };

    // `config` and `loop` outlive it. The caller tells of SIGCHLD.
    Body(Loop& loop, const contracts::WrapperConfig& config, std::string own_program);
    ~Body();

    // Makes the next sandbox now, so that start() need not; nothing in Docker. Only while empty().
    void prepare();
    // Only when nothing of an earlier start is left (its tree_gone has come). `failed` and the others are never called
    // from within start().
    void start(const LaunchPlan& plan, const BodyStreams& streams, Events events);
    void terminate();  // SIGTERM to the main process's group
    void kill();       // SIGKILL to everything, again and again until nothing is left
    void on_child_signal();
    bool empty() const { return pid_ <= 0 && !killing_; }

  private:
    Result<pid_t> start_directly(const LaunchPlan& plan, const BodyStreams& streams);
    Result<pid_t> start_in_sandbox(const LaunchPlan& plan, const BodyStreams& streams);
    void open_report();
    void discard_prepared();
    bool start_again();
    void read_report();
    void report_line(std::string_view line);
    void kill_everything();
    void kill_round();
    void say_ended(AgentEnd end);
    void say_failed(std::string why);

    Loop& loop_;
    const contracts::WrapperConfig& config_;
    const std::string own_program_;
    Events events_;
    pid_t pid_ = -1;          // the direct child: the agent, or bubblewrap
    pid_t init_ = -1;         // sandbox: PID 1 inside, as we see it
    posix::Fd report_;        // our end
    posix::Fd report_child_;  // only while starting, Docker
    std::optional<PreparedSandbox> prepared_;
    PreparedSandbox running_;  // its diagnostics; the rest is taken
    // What a prepared sandbox was told, until it says `started`: one that dies before that is replaced once.
    struct Told {
        LaunchPlan plan;
        posix::Fd input, output, errors;
    };
    std::optional<Told> told_;
    std::string report_text_;
    bool said_started_ = false;
    bool said_end_ = false;  // ended or failed
    bool killing_ = false;
    Loop::TimerId timer_ = 0;
    std::chrono::steady_clock::time_point kill_began_;
};

}  // namespace codegen::wrapper
