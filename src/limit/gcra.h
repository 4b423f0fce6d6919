// A rate limit kept in one time stamp (Generic Cell Rate Algorithm, ITU-T I.371).
//
//   debt:  0 ........ full        full = what a whole burst owes = quota.per
//          |<- owed ->|<- room ->|
//
// What is admitted adds a debt, time pays it off, and what would owe more than a full burst is
// refused. There is no refill timer and nothing to clean up: a time stamp in the past means
// "nothing owed".
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"
#include "exchange/caller.h"

namespace penstock::limit {

// What the client is told. A refusal is an answer, not an error.
struct Decision {
  bool admitted = true;
  std::uint64_t remaining = 0;  // cost that would be admitted now
  Duration retry_after{};       // zero if admitted; max() if it never would be
  Duration reset{};             // until nothing is owed any more
};

// The debt of a cost. Rounded down: a limit is never stricter than it says.
// REQUIRES: quota.count > 0.
Duration debt_of(const Quota& quota, std::uint64_t cost);
// The cost that a debt of `room` has place for.
std::uint64_t cost_in(const Quota& quota, Duration room);

// Decides for the time stamp `paid_off`; a refusal leaves it as it is.
// REQUIRES: quota.per > 0 and less than a year.
Decision decide(const Quota& quota, Time& paid_off, Time now, std::uint64_t cost);

// A time stamp that several threads decide by. What is given back or taken too much later moves it
// without a question.
class Meter {
 public:
  Decision take(const Quota& quota, Time now, std::uint64_t cost);
  // Without taking anything.
  Decision look(const Quota& quota, Time now) const;
  void give_back(const Quota& quota, std::uint64_t cost);
  bool owes(Time now) const {
    return paid_off_.load(std::memory_order_relaxed) > now.time_since_epoch().count();
  }
  void take_regardless(const Quota& quota, Time now, std::uint64_t cost);

 private:
  std::atomic<Time::rep> paid_off_{0};
};

}  // namespace penstock::limit
