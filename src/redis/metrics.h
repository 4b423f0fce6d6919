// What is counted of Redis.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string_view>

#include "observe/metrics.h"

namespace penstock::redis {

// The node's clients, as penstock_redis_up tells of them: it is up while one of them reaches it.
// Shared by the threads.
class Standing {
 public:
  // REQUIRES: once a registry.
  static std::shared_ptr<Standing> make(observe::Registry& registry);

  void add(bool up) { (up ? up_ : away_).fetch_add(1, std::memory_order_relaxed); }
  void remove(bool up) { (up ? up_ : away_).fetch_sub(1, std::memory_order_relaxed); }
  bool up() const { return up_.load(std::memory_order_relaxed) > 0; }
  // No client was made: there is nothing to be told.
  bool none() const { return !up() && away_.load(std::memory_order_relaxed) == 0; }

 private:
  std::atomic<int> up_{0};
  std::atomic<int> away_{0};
};

enum class Fault : std::uint8_t {
  connect,      // no connection: address, TCP, TLS, name and password
  timeout,      // no answer in time; the connection was closed
  broken,       // the connection was lost with commands under way, or what came is no RESP3
  unavailable,  // LOADING, READONLY, OOM, MASTERDOWN, CLUSTERDOWN
  refused,      // any other error that it answered
  away,         // not asked: the breaker is open
};

// A command's number among the labels: those that the program sends, or "other".
std::size_t command_index(std::string_view command);

// Of one thread's clients.
struct Metrics {
  static constexpr std::size_t kCommands = 21;
  static constexpr std::size_t kFaults = 6;

  Metrics() = default;  // counts nothing
  explicit Metrics(observe::Shard& shard);
  void count(Fault fault) { errors[static_cast<std::size_t>(fault)].add(); }

  std::array<observe::Histogram, kCommands> durations;
  std::array<observe::Counter, kFaults> errors;
  observe::Gauge connections;
};

}  // namespace penstock::redis
