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

  // From any thread, also when the signal's owner is about to end.
  void wake() const {
    asio::dispatch(state_->loop.executor(), [state = state_] {
      state->woken = true;
      state->timer.cancel();
    });
  }

  // On the loop. An Error if the deadline is over first.
  Task<Result<void>> wait(Deadline& deadline) {
    const std::shared_ptr<State> state = state_;
    while (!state->woken) {
      if (deadline.over()) co_return deadline.error("wait");
      state->timer.expires_at(Time::max());
      const auto interrupt = [&state] { state->timer.cancel(); };
      Deadline::Wait wait(deadline, interrupt);
      const auto [ec] = co_await state->timer.async_wait(as_result);
      (void)ec;  // a wake or the deadline: both are looked at above
    }
    state->woken = false;
    co_return Result<void>();
  }

 private:
  struct State {
    explicit State(Loop& on) : loop(on), timer(on.executor()) {}
    Loop& loop;
    SteadyTimer timer;
    bool woken = false;
  };
  std::shared_ptr<State> state_;
};

}  // namespace penstock
