// Requests at a time over all nodes: each node tells its own count, Redis adds them up.
//
// What a node says is its whole count with the number of the word, so that a word that is lost or
// overtaken mends itself with the next. A node that is silent for 10 s is gone, and what it held is
// free. Places that came free are told within a tick of the housekeeping.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "limit/shared.h"

namespace penstock::limit {

// One owner's. Any thread.
class SharedPlaces : public std::enable_shared_from_this<SharedPlaces> {
 public:
  // REQUIRES: held by a shared_ptr.
  SharedPlaces(std::shared_ptr<Shared> shared, std::string key)
      : shared_(std::move(shared)), key_(std::move(key)) {}

  // True: one place is held, to be left once. Without Redis limit / nodes decides, at least 1.
  static Task<bool> enter(std::shared_ptr<SharedPlaces> self, redis::Client* client,
                          std::uint64_t limit, Deadline& deadline);
  void leave();
  std::int64_t here() const { return count_.load(std::memory_order_relaxed); }

 private:
  friend class Shared;
  Task<Result<bool>> say(redis::Client& client, std::int64_t limit, Deadline& deadline);
  static bool due(const SharedPlaces& places, Time now);
  static Task<void> tell(std::shared_ptr<SharedPlaces> self, redis::Client& client, Loop& loop);
  // It holds nothing, and Redis knows.
  bool idle() const;
  void enlist();

  const std::shared_ptr<Shared> shared_;
  const std::string key_;
  std::atomic<std::int64_t> count_{0};
  std::atomic<std::uint64_t> number_{0};  // of the last word
  std::atomic<bool> changed_{false};      // Redis has not been told
  std::atomic<Time::rep> said_{0};
  std::atomic<bool> listed_{false};
};

}  // namespace penstock::limit
