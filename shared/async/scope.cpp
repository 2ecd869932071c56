#include "shared/async/scope.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "shared/logging/log.hpp"

namespace codegen::async {
namespace {

// From the queue, not inside spawn(): a task never runs in the middle of the function that spawns it.
Task<void> start_later(Task<void> task) {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    co_await std::move(task);
}

std::string text_of(const std::exception_ptr& exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "not a std::exception";
    }
}

}  // namespace

struct Scope::State {
    struct Running {
        std::string name;
        asio::cancellation_signal signal;
        bool cancelled = false;
        bool ended = false;
    };

    explicit State(asio::any_io_executor e) : executor(e), all_ended(e, asio::steady_timer::time_point::max()) {}

    void cancel(Running& task) {
        if (task.ended || task.cancelled) return;
        task.cancelled = true;
        task.signal.emit(asio::cancellation_type::terminal);
    }

    asio::any_io_executor executor;
    asio::steady_timer all_ended;  // never expires; cancelled to wake drain()
    std::list<Running> tasks;
    bool cancelled = false;
};

Scope::Scope(asio::any_io_executor executor) : state_(std::make_shared<State>(std::move(executor))) {}

Scope::~Scope() { cancel(); }

void Scope::spawn(std::string name, Task<void> task) {
    if (state_->cancelled) return;
    const auto running = state_->tasks.emplace(state_->tasks.end());
    running->name = std::move(name);
    auto on_end = [state = state_, running](std::exception_ptr exception) {
        if (exception && !(running->cancelled && is_cancellation(exception))) {
            log::error("a task ended with an exception", {{"task", running->name}, {"error", text_of(exception)}});
            std::terminate();
        }
        running->ended = true;
        // Later: the signal must outlive the coroutine that is just ending.
        asio::post(state->executor, [state, running] {
            state->tasks.erase(running);
            if (state->tasks.empty()) state->all_ended.cancel();
        });
    };
    asio::co_spawn(state_->executor, start_later(std::move(task)),
                   asio::bind_cancellation_slot(running->signal.slot(), std::move(on_end)));
}

void Scope::cancel() {
    state_->cancelled = true;
    const auto state = state_;  // a task's end may destroy this Scope
    for (auto& task : state->tasks) state->cancel(task);
}

Task<void> Scope::stop() {
    cancel();
    return drain();
}

Task<void> Scope::drain() {
    const auto state = state_;
    return [](std::shared_ptr<State> s) -> Task<void> {
        while (!s->tasks.empty()) co_await s->all_ended.async_wait(use_tuple);
    }(state);
}

std::size_t Scope::size() const { return state_->tasks.size(); }

asio::any_io_executor Scope::executor() const { return state_->executor; }

}  // namespace codegen::async
