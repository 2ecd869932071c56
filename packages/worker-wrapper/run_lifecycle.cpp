#include "packages/worker-wrapper/run_lifecycle.hpp"

#include <utility>

namespace codegen::wrapper {

std::vector<RunAction> RunLifecycle::kill() {
    state_ = State::killing;
    return {RunAction::kill_tree};
}

std::vector<RunAction> RunLifecycle::when_gone() {
    if (state_ != State::killing || !gone_ || !closed_) return {};
    if (std::exchange(owes_verdict_, false) && may_ask_ && !failed_to_start_ && cut_ == Cut::none) {
        may_ask_ = gone_ = closed_ = false;
        state_ = State::starting;
        return {RunAction::ask_again};
    }
    if (failed_to_start_ || cut_ == Cut::cancelled) {
        state_ = State::done;
        return {RunAction::finish};
    }
    state_ = State::collecting;
    return {RunAction::collect};
}

std::vector<RunAction> RunLifecycle::on(RunEvent event) {
    if (state_ == State::done) return {};
    switch (event) {
        case RunEvent::start_failed:
            if (state_ == State::collecting || state_ == State::killing) return {};
            failed_to_start_ = true;
            return kill();
        case RunEvent::started:
            if (state_ == State::starting) state_ = State::running;
            return {};
        case RunEvent::agent_ended:
            // Also what it left running dies: the worker's next run starts from nothing.
            if (state_ == State::killing || state_ == State::collecting) return {};
            return kill();
        case RunEvent::tree_gone:
            if (state_ == State::collecting) return {};
            gone_ = true;
            if (state_ != State::killing) state_ = State::killing;
            return when_gone();
        case RunEvent::streams_closed:
            closed_ = true;
            return when_gone();
        case RunEvent::owes_verdict:
            owes_verdict_ = true;
            return {};
        case RunEvent::timed_out:
        case RunEvent::halted:
        case RunEvent::stop_requested: {
            may_ask_ = false;
            const Cut cut = event == RunEvent::timed_out ? Cut::timeout
                            : event == RunEvent::halted  ? Cut::halted
                                                         : Cut::cancelled;
            if (state_ == State::starting || state_ == State::running) {
                cut_ = cut;
                state_ = State::terminating;
                return {RunAction::terminate};
            }
            if (state_ == State::collecting && cut == Cut::cancelled) {
                if (cut_ == Cut::none) cut_ = cut;
                state_ = State::done;
                return {RunAction::abort_collect, RunAction::finish};
            }
            return {};
        }
        case RunEvent::grace_over:
            if (state_ != State::terminating) return {};
            return kill();
        case RunEvent::collected:
            if (state_ != State::collecting) return {};
            state_ = State::done;
            return {RunAction::finish};
    }
    return {};
}

}  // namespace codegen::wrapper
