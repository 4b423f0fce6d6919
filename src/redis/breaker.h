// Whether Redis is asked at all: five failures in a row, and it is away for a second, then for two
// ... up to thirty.
//
//   closed ──5 failures──> open ──its time has passed──> one call may try ──success──> closed
//                           ^                                   │
//                           └────── twice as long ──────failure─┘
//
// While it is open calls fail at once, so that a Redis that hangs costs nobody its time-out.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace penstock::redis {

class Breaker {
 public:
  static constexpr int kFailures = 5;
  static constexpr Duration kFirst = 1s;
  static constexpr Duration kMost = 30s;

  // A call would be let through.
  bool admits(Time now) const { return !open_ || (now >= until_ && !trying_); }
  bool open() const { return open_; }
  Duration open_for() const { return open_for_; }

  // Lets a call through, or not. One that was must end with one of the three below.
  bool take(Time now) {
    if (!open_) return true;
    if (!admits(now)) return false;
    return trying_ = true;
  }
  void succeeded() {
    failures_ = 0;
    open_ = trying_ = false;
    open_for_ = Duration::zero();
    connecting_only_ = true;
  }
  // `connecting`: no connection was to be had, or it was lost. True: this opened it.
  bool failed(Time now, bool connecting) {
    trying_ = false;
    connecting_only_ = connecting_only_ && connecting;
    if (open_ ? now < until_ : ++failures_ < kFailures) return false;
    open_for_ = open_for_ == Duration::zero() ? kFirst : std::min(open_for_ * 2, kMost);
    until_ = now + open_for_;
    open_ = true;
    return true;
  }
  // Nothing was learned: it was not sent.
  void left() { trying_ = false; }

  // A connection was made and answered. That mends what was wrong with connecting, but says nothing
  // of commands that are not answered.
  void connected() {
    if (connecting_only_) succeeded();
  }

 private:
  int failures_ = 0;
  bool open_ = false;
  bool trying_ = false;
  bool connecting_only_ = true;  // all failures of this row were of that kind
  Time until_{};
  Duration open_for_{};
};

}  // namespace penstock::redis
