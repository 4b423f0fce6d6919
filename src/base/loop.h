// A worker's event loop: one thread, one io_context, one poller of sockets, one wheel of alarms.
//
// What lives on a loop is touched by its thread alone and needs no lock. Another thread reaches
// it by `asio::post(loop.executor(), ...)`.
#pragma once

#include <string>
#include <vector>

#include "base/alarm.h"
#include "base/asio.h"
#include "base/clock.h"
#include "base/poller.h"
#include "base/task.h"

namespace penstock {

class Loop {
 public:
  // `index` is the worker's number; it names its metrics shard.
  explicit Loop(unsigned index = 0);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  unsigned index() const { return index_; }
  asio::io_context& io() { return io_; }
  Executor executor() { return io_.get_executor(); }
  Poller& poller() { return poller_; }
  Frames& frames() { return frames_; }

  // Runs a coroutine that nobody awaits: at once, until it first waits. What has not ended when the
  // loop is destroyed is destroyed with it.
  void spawn(Task<void> task);
  // Goes on with a coroutine soon, from the loop itself: for code that has something half done.
  void resume_soon(std::coroutine_handle<> who);
  // The same with who waits, if somebody does.
  void resume_soon(Waiter& waiter) {
    if (waiter.waited_for()) resume_soon(waiter.take());
  }

  // `co_await loop.turn()` lets everything else that is ready go first.
  auto turn() {
    struct Turn {
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> who) const { loop.resume_soon(who); }
      void await_resume() const noexcept {}
      Loop& loop;
    };
    return Turn{*this};
  }

  // Sets or moves an alarm of this loop; Time::max() clears it.
  void set(Alarm& alarm, Time at);
  void clear(Alarm& alarm) { alarms_.clear(alarm); }

  // Runs until `stop`; may be called again. Rethrows what a handler throws: nothing on a loop
  // should.
  void run();
  // From any thread.
  void stop() { io_.stop(); }

 private:
  struct Root;
  struct Spawned;

  static Spawned own(Loop& loop, Task<void> task);
  void arm(Time at);
  void run_ready();

  unsigned index_;
  Frames frames_;
  // Before io_: destroying the io_context destroys what waits in it, which leaves the wheel.
  AlarmWheel alarms_;
  Time armed_ = Time::max();
  asio::io_context io_;
  SteadyTimer timer_;
  Poller poller_;
  Root* roots_ = nullptr;  // the coroutines that were spawned, linked
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;  // of the turn under way; empty between turns
};

}  // namespace penstock
