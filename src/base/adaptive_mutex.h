// A mutex for what is held for less than a microsecond: who comes meanwhile looks again for a
// moment before it sleeps. To sleep and be woken takes several microseconds, for both.
#pragma once

#include <pthread.h>

namespace penstock {

class AdaptiveMutex {
 public:
  AdaptiveMutex() = default;
  AdaptiveMutex(const AdaptiveMutex&) = delete;
  AdaptiveMutex& operator=(const AdaptiveMutex&) = delete;
  ~AdaptiveMutex() { pthread_mutex_destroy(&mutex_); }

  // By the standard's names, for std::lock_guard.
  void lock() { pthread_mutex_lock(&mutex_); }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_ = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
};

}  // namespace penstock
