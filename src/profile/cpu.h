// Which code the processors are busy with: each thread is interrupted after every 10 ms of
// processor time that it used (timer_create(2), SIGPROF), and its stack is written down. What waits
// is not seen. A timer for each thread, and not one for the process: the kernel fires one timer
// once a tick, however many processors were busy. While nobody looks, nothing is there that could
// cost.
//
// The signal's handler writes into slots that were made before, and whoever took the sampler
// empties them.
#pragma once

#include <ctime>

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "profile/profile.h"

namespace penstock::profile {

inline constexpr int kHertz = 100;  // samples a second of processor time, as pprof's users expect

// One at a time in a process. Belongs to one thread.
class CpuSampler {
 public:
  // Fails with `exhausted` while there is another, with `internal` where the kernel refuses.
  static Result<CpuSampler> begin();
  CpuSampler(CpuSampler&& other) noexcept;
  CpuSampler& operator=(CpuSampler&&) = delete;
  ~CpuSampler();

  // Takes what has come so far, and looks for new threads; to be called a few times a second.
  void collect();
  // Ends it, and says what there was.
  Profile end();

 private:
  CpuSampler() = default;
  void stop();
  void watch_threads();

  struct Watched {
    int thread;
    timer_t timer;
  };
  bool held_ = false;
  std::vector<Watched> watched_;
  Sum sum_;
  Time started_;
  WallTime begin_;
};

}  // namespace penstock::profile
