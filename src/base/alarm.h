// Many time-outs, one timer: a hashed wheel whose alarms are moved lazily.
//
//   slot   0   1   2  ...  511        each slot is a ring of alarms, 10 ms wide;
//          |   |                      an alarm may sit in a slot earlier than its time:
//          A   B-C                    the slot then only puts it further on
//
// A connection postpones its time-out at every request, nearly always to a later time: that is
// one store here, where an ordered queue of timers pays a removal and an insertion.
// (Varghese and Lauck, "Hashed and hierarchical timing wheels", SOSP 1987, scheme 6.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace penstock {

class AlarmWheel;

// A place in a slot's ring.
struct AlarmLink {
  AlarmLink* next = nullptr;
  AlarmLink* previous = nullptr;
};

// Something that wants to be woken. Belongs to one loop; leaves its wheel when it is destroyed.
class Alarm : private AlarmLink {
 public:
  Alarm() = default;
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  virtual ~Alarm() { unlink(); }

  Time at() const { return at_; }  // Time::max() when not set

 private:
  friend class AlarmWheel;
  // Called once, on the loop, at or up to one slot after `at()`. The alarm is then no longer set;
  // it may set itself again, and it may destroy itself or others.
  virtual void ring(Time now) = 0;

  bool linked() const { return next != nullptr; }
  void unlink() {
    if (next == nullptr) return;
    previous->next = next;
    next->previous = previous;
    next = previous = nullptr;
  }

  Time at_ = Time::max();
  std::uint64_t tick_ = 0;  // the slot's absolute number, meaningful while linked
};

class AlarmWheel {
 public:
  static constexpr Duration kSlot = 10ms;

  explicit AlarmWheel(Time now);
  AlarmWheel(const AlarmWheel&) = delete;
  AlarmWheel& operator=(const AlarmWheel&) = delete;
  ~AlarmWheel();

  // Sets or moves the alarm; Time::max() clears it.
  void set(Alarm& alarm, Time at);
  void clear(Alarm& alarm) {
    alarm.unlink();
    alarm.at_ = Time::max();
  }

  // Rings everything due. Time never runs backwards: an earlier `now` does nothing.
  void advance(Time now);

  // When `advance` has something to look at; Time::max() when no alarm is set.
  Time next() const;

 private:
  static constexpr std::size_t kSlots = 512;

  std::uint64_t tick_of(Time at) const;
  void link(Alarm& alarm, std::uint64_t tick);

  Time origin_;
  std::uint64_t now_ = 0;                // ticks up to and including this one have been looked at
  std::array<AlarmLink, kSlots> slots_;  // the sentinels of the rings
};

}  // namespace penstock
