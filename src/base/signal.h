// Wakes a coroutine from any thread. One waits at a time, on the signal's own loop.
//
//   while (!there_is_something()) {
//     Result<void> woken = co_await signal.wait(deadline);
//     if (!woken) co_return ...;
//   }
//
// A wake that comes before the wait is kept: the next wait returns at once.
#pragma once

#include <memory>

#include "base/deadline.h"
#include "base/loop.h"

namespace penstock {

class Signal {
 public:
  explicit Signal(Loop& loop) : state_(std::make_shared<State>(loop)) {}

  // From any thread, also when the signal's owner is about to end. Who waits goes on soon, never
  // within this call.
  void wake() const {
    State& state = *state_;
    if (state.loop.executor().running_in_this_thread()) {
      state.woken = true;
      state.loop.resume_soon(state.waiter);
    } else {
      asio::post(state.loop.executor(), [shared = state_] {
        shared->woken = true;
        shared->loop.resume_soon(shared->waiter);
      });
    }
  }

  // On the loop. An Error if the deadline is over first.
  Task<Result<void>> wait(Deadline& deadline) {
    const std::shared_ptr<State> state = state_;
    while (!state->woken) {
      if (deadline.over()) co_return deadline.error("wait");
      const auto interrupt = [&state] { state->loop.resume_soon(state->waiter); };
      Deadline::Wait wait(deadline, interrupt);
      co_await state->waiter;  // a wake or the deadline: both are looked at above
    }
    state->woken = false;
    co_return Result<void>();
  }

 private:
  struct State {
    explicit State(Loop& on) : loop(on) {}
    Loop& loop;
    Waiter waiter;
    bool woken = false;
  };
  std::shared_ptr<State> state_;
};

}  // namespace penstock
