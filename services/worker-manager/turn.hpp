// One at a time: what is done to one worker is done in the order of asking.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "shared/async/async.hpp"

namespace codegen::worker_manager {

// Use on one thread.
class Turn {
  public:
    explicit Turn(const asio::any_io_executor& executor) : state_(std::make_shared<State>(executor)) {}

  private:
    struct State {
        explicit State(const asio::any_io_executor& executor)
            : freed(executor, asio::steady_timer::time_point::max()) {}
        std::uint64_t next_ticket = 0;
        std::uint64_t serving = 0;
        asio::steady_timer freed;  // cancelled on every change
    };

  public:
    class Held {
      public:
        explicit Held(std::shared_ptr<State> state) : state_(std::move(state)) {}
        Held(Held&&) = default;
        Held& operator=(Held&&) = delete;
        ~Held() {
            if (!state_) return;
            ++state_->serving;
            state_->freed.cancel();
        }

      private:
        std::shared_ptr<State> state_;
    };

    // Waits for its turn, which lasts as long as what is returned. Not to be cancelled while it waits: a place in the
    // queue is taken at once and given back only after its turn.
    Task<Held> take() {
        auto state = state_;
        const auto ticket = state->next_ticket++;
        while (state->serving != ticket) co_await state->freed.async_wait(async::use_tuple);
        co_return Held(std::move(state));
    }

  private:
    std::shared_ptr<State> state_;
};

}  // namespace codegen::worker_manager
