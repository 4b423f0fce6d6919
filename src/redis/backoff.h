// How long to wait before the next try to connect: none at first, then 50 ms doubling to 5 s, each
// of them cut by up to a half at random so that clients do not come back in step.
#pragma once

#include <algorithm>

#include "base/clock.h"
#include "base/uuid.h"

namespace penstock::redis {

class Backoff {
 public:
  static constexpr Duration kFirst = 50ms;
  static constexpr Duration kMost = 5s;

  Duration next() {
    const Duration whole = wait_;
    wait_ = wait_ == Duration::zero() ? kFirst : std::min(wait_ * 2, kMost);
    return std::chrono::duration_cast<Duration>(whole * (0.5 + 0.5 * random_.unit()));
  }
  void reset() { wait_ = Duration::zero(); }

 private:
  Duration wait_{};
  Random random_;
};

}  // namespace penstock::redis
