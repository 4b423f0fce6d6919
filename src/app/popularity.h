// Writes down what is asked most (`cache.warm.popular`), on a thread of its own: now and then, and
// at the end.
#pragma once

#include <atomic>
#include <thread>

#include "base/loop.h"
#include "base/task.h"
#include "gateway/popular.h"
#include "observe/log.h"
#include "store/database.h"

namespace penstock::app {

class Popularity {
 public:
  static constexpr Duration kEach = 5min;

  Popularity(gateway::Popular& popular, store::Database& database, observe::Log& log);
  Popularity(const Popularity&) = delete;
  Popularity& operator=(const Popularity&) = delete;
  ~Popularity() { end(Clock::now()); }

  // Behind the last request. Writes what is there until then, at most.
  void end(Time until);

 private:
  Task<void> write_on();

  gateway::Popular& popular_;
  store::Database& database_;
  observe::Log& log_;
  std::atomic<bool> ended_{false};
  Loop loop_;
  std::thread thread_;
};

}  // namespace penstock::app
