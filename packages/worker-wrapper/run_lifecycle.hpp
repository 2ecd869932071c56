// One agent run from its start to its result, as a state machine without I/O: on(event) says what to do next.
//
//   starting -> running -> [terminating] -> killing -> collecting -> done
//       ^--------- asked once more ---------'
//
// Whatever happens, the result comes after every process of the run is gone, and exactly once.
#pragma once
#include <vector>

#include "packages/worker-wrapper/outcome.hpp"

namespace codegen::wrapper {

enum class RunEvent {
    start_failed,
    started,         // the agent has been exec'd
    agent_ended,     // the agent's main process
    tree_gone,       // no process of the run is left
    streams_closed,  // end of its stdout and stderr (or given up waiting for it)
    owes_verdict,    // said before tree_gone: it ended well, could go on, and has reported nothing
    timed_out,
    stop_requested,
    halted,  // by the gateway
    grace_over,
    collected,  // head and bundle are there, or failed
};

enum class RunAction {
    terminate,      // SIGTERM to the agent; grace_over comes kill_grace later
    kill_tree,      // SIGKILL to everything until nothing is left
    ask_again,      // start the agent once more in its conversation, for its verdict
    collect,        // HEAD and bundle
    abort_collect,  // kill that
    finish,         // decide, store, publish
};

class RunLifecycle {
  public:
    enum class State { starting, running, terminating, killing, collecting, done };

    std::vector<RunAction> on(RunEvent event);
    State state() const { return state_; }
    Cut cut() const { return cut_; }

  private:
    std::vector<RunAction> kill();
    std::vector<RunAction> when_gone();

    State state_ = State::starting;
    Cut cut_ = Cut::none;
    bool failed_to_start_ = false;
    bool gone_ = false;
    bool closed_ = false;
    bool owes_verdict_ = false;
    bool may_ask_ = true;  // once, and not when somebody wants an end
};

}  // namespace codegen::wrapper
