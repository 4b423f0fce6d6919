// Waits for a time, to the timer's own precision; a Deadline's is that of AlarmWheel.
#pragma once

#include <memory>

#include "base/deadline.h"
#include "base/loop.h"

namespace penstock {

// Returns at `at`, or when the deadline is over, whichever is first; Time::max() for the deadline
// alone.
inline Task<void> sleep_until(Time at, Deadline& deadline) {
  if (deadline.over() || at <= Clock::now()) co_return;
  Loop& loop = deadline.loop();
  // Shared: a timer that has expired calls back even if it is destroyed before.
  const auto waiter = std::make_shared<Waiter>();
  SteadyTimer timer(loop.executor(), at);
  timer.async_wait([waiter](boost::system::error_code) {
    if (waiter->waited_for()) waiter->resume();
  });
  const auto interrupt = [&] { loop.resume_soon(*waiter); };
  Deadline::Wait wait(deadline, interrupt);
  Waiter& here = *waiter;  // GCC 12 copies what a call in an awaiting expression refers to
  co_await here;
}

}  // namespace penstock
