// A piece of work's permission to go on: until a time, and until somebody calls it off.
//
// Every function that waits takes a Deadline& as its last parameter. The waiting place says how
// it can be interrupted; the deadline interrupts it when its time has come or when `call_off` is
// called (the client left, the program drains). A deadline made under another one ends with it.
//
//   Deadline connect(request_deadline, Clock::now() + 2s);
//   const auto interrupt = [&] { socket.cancel(); };
//   Deadline::Wait wait(connect, interrupt);
//   auto [ec] = co_await socket.async_connect(endpoint, as_result);
//   if (connect.over()) co_return connect.error("connect to gpu-a");
//
// At most one place waits under a deadline at a time: one coroutine, or one child deadline.
// Everything happens on one loop. Resolution is that of AlarmWheel (10 ms, late, never early).
#pragma once

#include <cassert>
#include <string_view>

#include "base/alarm.h"
#include "base/loop.h"
#include "base/result.h"

namespace penstock {

enum class Why : std::uint8_t {
  not_over,
  time,      // the time came
  left,      // the client went away
  draining,  // the program is about to end
};

class Deadline final : private Alarm {
 public:
  // Time::max() for a deadline that ends only by `call_off`.
  Deadline(Loop& loop, Time at);
  // Ends at the earlier of `at` and the parent's end, for the parent's reason.
  Deadline(Deadline& parent, Time at);
  ~Deadline();

  Loop& loop() { return loop_; }
  Time at() const { return limit_; }
  // Moves the time; also revives nothing: a deadline that is over stays over.
  void move(Time at);

  Why why() const { return why_; }
  bool over() const { return why_ != Why::not_over; }
  // Ends it now. The first reason stays.
  void call_off(Why why);

  // What to return when over(): timeout or cancelled, "<what>: no answer in time" or alike.
  // REQUIRES: over().
  Error error(std::string_view what, Source source = Source::gateway) const;

  // Registers, for its lifetime, how the present wait is interrupted. `interrupt` must outlive
  // it and is called at most once, never from inside the constructor: look at over() first.
  // REQUIRES: no other Wait on this deadline, !over() (in a debug build checked).
  class Wait {
   public:
    template <class Interrupt>
    Wait(Deadline& deadline, const Interrupt& interrupt)
        : Wait(deadline, &interrupt,
               [](const void* self) { (*static_cast<const Interrupt*>(self))(); }) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait() { deadline_.interrupt_ = nullptr; }

   private:
    Wait(Deadline& deadline, const void* self, void (*interrupt)(const void*))
        : deadline_(deadline) {
      assert(deadline.interrupt_ == nullptr && deadline.child_ == nullptr);
      deadline.self_ = self;
      deadline.interrupt_ = interrupt;
    }
    Deadline& deadline_;
  };

 private:
  void ring(Time now) override;

  Loop& loop_;
  Time limit_;
  Why why_ = Why::not_over;
  Deadline* parent_ = nullptr;
  Deadline* child_ = nullptr;
  const void* self_ = nullptr;
  void (*interrupt_)(const void*) = nullptr;
};

}  // namespace penstock
