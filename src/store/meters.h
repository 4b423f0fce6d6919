// What the store counts. Several threads do, so each figure is behind one mutex: this is cold work.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "observe/metrics.h"
#include "store/database.h"

namespace penstock::store {

class Meters {
 public:
  // `states`: what failed() is told of most; others get their series when they come.
  Meters(observe::Registry& registry, std::span<const std::string_view> states);
  Meters(const Meters&) = delete;
  Meters& operator=(const Meters&) = delete;

  void asked(std::string_view operation, Duration took);
  // `state`: the first two characters of PostgreSQL's SQLSTATE, or what SQLite's code is called.
  void failed(std::string_view state);
  void waited(Role role, Duration took);  // for a connection, or for the thread
  void pool_timed_out(Role role);

 private:
  observe::Counter errors(std::string_view state);

  // The registry's cells of one shard have one writer: nobody else counts what is called db_*, and
  // the mutex makes one writer of our threads.
  observe::Shard& shard() { return registry_.shard(registry_.shards() - 1); }

  observe::Registry& registry_;
  std::mutex mutex_;
  std::map<std::string, observe::Histogram, std::less<>> operations_;
  std::map<std::string, observe::Counter, std::less<>> states_;
  std::array<observe::Histogram, 2> waits_;  // by role
  std::array<observe::Counter, 2> timeouts_;
};

// Shows what `health` says as penstock_db_up, penstock_db_pool_connections and
// penstock_db_replica_lag_seconds, and the rest of a pool, for as long as `of` is there.
struct Gauges {
  std::function<std::vector<Health>()> health;
  std::function<double()> connections_max;
  std::function<double()> pending;
};
void show(observe::Registry& registry, const std::weak_ptr<const Gauges>& of,
          const std::vector<std::string>& replicas);
// Shows it no more; returns when no scrape is reading it.
void hide(std::shared_ptr<Gauges>& gauges);

}  // namespace penstock::store
