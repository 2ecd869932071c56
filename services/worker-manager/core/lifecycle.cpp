#include "services/worker-manager/core/lifecycle.hpp"

namespace codegen::worker_manager {

WorkerState after(WorkerState state, LifeEvent event, bool body_alive) {
    using enum WorkerState;
    if (state == STOPPED || event == LifeEvent::deleted) return STOPPED;
    switch (event) {
        case LifeEvent::admitted:
            return state == QUEUED ? STARTING : state;
        case LifeEvent::create_failed:
            return FAILED;
        case LifeEvent::body_started:
        case LifeEvent::created:
            return state == QUEUED || state == STARTING ? RUNNING : state;
        // One that is being made runs when its creation is done: a manager that dies before that makes it again.
        case LifeEvent::wrapper_started:
            if (state == QUEUED || state == STARTING) return state;
            return body_alive && state != PAUSED ? RUNNING : state;
        case LifeEvent::paused:
            return body_alive && state == RUNNING ? PAUSED : state;
        case LifeEvent::resumed:
            return body_alive && state == PAUSED ? RUNNING : state;
        // A wrapper that ended one request is there for the next one; its failure is the request's, not its own.
        case LifeEvent::wrapper_completed:
        case LifeEvent::wrapper_failed:
            return state;
        case LifeEvent::wrapper_stopped:
            // Of one that is being made: an earlier body's last word, late.
            if (state == QUEUED || state == STARTING) return state;
            return state == FAILED ? FAILED : COMPLETED;
        case LifeEvent::body_ended:
            return state == COMPLETED ? COMPLETED : FAILED;
        case LifeEvent::deleted:
            break;
    }
    return STOPPED;
}

contracts::WorkerStatus answered_status(WorkerState state) {
    using contracts::WorkerStatus;
    switch (state) {
        case WorkerState::QUEUED:
        case WorkerState::STARTING:
            return WorkerStatus::starting;
        case WorkerState::RUNNING:
        case WorkerState::PAUSED:
            return WorkerStatus::running;
        case WorkerState::FAILED:
            return WorkerStatus::failed;
        case WorkerState::COMPLETED:
        case WorkerState::STOPPED:
            break;
    }
    return WorkerStatus::stopped;
}

}  // namespace codegen::worker_manager
