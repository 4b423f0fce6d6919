// How many users were active in the last 5 minutes, hour and day.
//
//   5m   [30 s][30 s] ... [now]     eleven slots in a ring; an estimate is that of all that are not
//   1h   [5 min] ... [now]          older than the window: up to one slot more than its name says
//   1d   [1 h] ... [now]
//
// With other nodes: a user who is new to a slot here is sent to Redis, whose slots have names that
// all nodes make alike, and Redis is asked for the sum. While it is away the node tells its own.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/deadline.h"
#include "base/result.h"
#include "base/task.h"
#include "engagement/hyperloglog.h"

namespace penstock::engagement {

// Where nodes count together.
class Shared {
 public:
  struct Addition {
    std::string key;
    std::vector<std::string> users;  // 8 bytes each
    std::chrono::seconds keep;       // the key is not read any more after that
  };

  Shared() = default;
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  virtual ~Shared() = default;
  // PFADD and EXPIRE, for each.
  virtual Task<Result<void>> add(std::vector<Addition> additions, Deadline& deadline) = 0;
  // PFCOUNT of all keys together.
  virtual Task<Result<std::uint64_t>> count(std::vector<std::string> keys, Deadline& deadline) = 0;
};

class Active {
 public:
  enum Window : std::uint8_t { minutes5, hour, day };
  static constexpr std::size_t kWindows = 3;
  static std::string_view label_of(Window window);  // "5m"

  // `shared`: users that are new are noted for `exchange`. `prefix`: of the keys; what is in braces
  // keeps them together in a cluster.
  explicit Active(bool shared, std::string prefix = "penstock:{active}");
  Active(const Active&) = delete;
  Active& operator=(const Active&) = delete;
  ~Active();

  // Any thread.
  void saw(std::uint64_t user, WallTime now);
  // What all nodes have, if that is known and not older than a minute; else what this one has.
  std::uint64_t users(Window window, WallTime now) const;

  // Sends what is new and asks how many there are; what could not be sent is sent the next time.
  // One at a time.
  Task<Result<void>> exchange(Shared& shared, WallTime now, Deadline& deadline);

 private:
  struct Ring;
  struct News {
    Window window;
    std::int64_t slot;
    std::uint64_t user;
  };

  std::string key(Window window, std::int64_t slot) const;
  std::uint64_t own_users(Window window, WallTime now) const;

  const bool shared_;
  const std::string prefix_;
  std::array<std::unique_ptr<Ring>, kWindows> rings_;
  std::mutex mutex_;  // of news_
  std::vector<News> news_;
  // What Redis said, and when (seconds since 1970; 0: never).
  std::array<std::atomic<std::uint64_t>, kWindows> counted_{};
  std::atomic<std::int64_t> counted_at_{0};
};

}  // namespace penstock::engagement
