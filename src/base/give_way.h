// For a thread that works where nobody waits: requests go first.
#pragma once

#include <sys/resource.h>

namespace penstock {

// The calling thread gets a tenth of what a loop gets on the same core, and a loop that wakes runs
// at once. What there is to do is done all the same where there is time. Linux keeps this for each
// thread; a machine that refuses it is none the worse.
inline void give_way() {
  constexpr int kNice = 10;
  static_cast<void>(setpriority(PRIO_PROCESS, 0, kNice));
}

}  // namespace penstock
