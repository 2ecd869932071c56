// The life of one worker, whatever the order in which its signs arrive. Pure.
#pragma once
#include <string_view>

#include "shared/contracts/vocabulary.hpp"

namespace codegen::worker_manager {

using contracts::WorkerState;

enum class LifeEvent {
    admitted,         // has a slot; the body is being made
    body_started,     // the runtime started it
    created,          // the create command is answered with success
    create_failed,    // the create command is answered with failure, everything undone
    wrapper_started,  // the wrapper's own words, from worker:lifecycle; late or out of order
    wrapper_completed,
    wrapper_failed,
    wrapper_stopped,
    paused,  // the runtime holds it still, or is about to
    resumed,
    body_ended,  // the runtime saw it end
    deleted,     // everything of it is gone
};

// The state after `event`. STOPPED (deleted) is final. FAILED and COMPLETED after the body's end are left only by
// deletion: the wrapper's late words change nothing then, which is what `body_alive` decides.
WorkerState after(WorkerState state, LifeEvent event, bool body_alive);

// What StatusWorkerResponse says: a paused worker answers running, a completed one stopped.
contracts::WorkerStatus answered_status(WorkerState state);

}  // namespace codegen::worker_manager
