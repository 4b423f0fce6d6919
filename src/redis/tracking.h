// What one connection vouches for, and what an invalidation on it means (CLIENT TRACKING).
//
// Redis remembers which keys were read through the connection, and says once on it that one of them
// was changed. An answer and the invalidation behind it may be taken in together, before whoever
// waits for the answer goes on: so a fetch is known here from before its commands are sent until it
// has gone on, and is marked.
//
//   Fetch ──────────────────────────────────────────────┐ changed()
//     send GET k ──> Redis ──> "old", invalidate k ──> marks it, calls `changed`
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "redis/value.h"
#include "redis/vouchers.h"

namespace penstock::redis {

// Belongs to a connection, and to its loop.
class Tracking {
 public:
  // Of all connections of a client.
  struct Ears {
    std::shared_ptr<Vouchers> vouchers;
    // A key that was read was changed by somebody else, as the connection says that vouches by
    // this; empty: any may have been.
    std::function<void(std::string_view key, Vouch by)> changed;
  };

  // Commands about a key, under way. The key must outlive it, and it the Tracking.
  class Fetch {
   public:
    Fetch(Tracking& tracking, std::string_view key);
    Fetch(const Fetch&) = delete;
    Fetch& operator=(const Fetch&) = delete;
    ~Fetch();
    // The connection's when it began.
    Vouch vouch() const { return vouch_; }
    // An invalidation of the key came since.
    bool changed() const { return changed_; }

   private:
    friend class Tracking;
    Tracking& tracking_;
    const std::string_view key_;
    const Vouch vouch_;
    bool changed_ = false;
  };

  Tracking() = default;
  Tracking(const Tracking&) = delete;
  Tracking& operator=(const Tracking&) = delete;
  ~Tracking() { end(); }

  // The connection is tracked from now on.
  void begin(std::shared_ptr<const Ears> ears);
  // It is not to be believed any more. May be called again.
  void end();
  // What was read so far is not to be believed any more, what is read from now on is.
  void renew();
  // True: the push was an invalidation, and whom it concerns was told.
  bool invalidate(const Value& push);

 private:
  void invalidate_key(std::string_view key);
  void invalidate_all();

  std::shared_ptr<const Ears> ears_;  // null: not tracked
  Vouch vouch_ = 0;
  std::unordered_multimap<std::string_view, Fetch*> fetches_;
};

}  // namespace penstock::redis
