// The second cache level: answers in Redis, shared by all nodes.
//
//   get ── equal ones under way on this worker wait for one ──> GET
//   put ──────────────────────────────────────────────────────> SET, and a look that it is still
//   ours
//
// A look says who vouches for what it found: a connection that tells when the key is changed. What
// was changed while it was being read is given, and not kept. Whatever goes wrong is an Error and
// the request goes on without Redis; a value that cannot be read is a miss.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/signal.h"
#include "cache/key.h"
#include "cache/value.h"
#include "redis/client.h"

namespace penstock::cache {

inline constexpr std::string_view kValuePrefix = "penstock:cache:";
// The name of a value in Redis, and back: nothing for other names. The key stands in braces: what
// belongs to it lies on the same node of a cluster.
std::string name_of(const Key& key);
std::optional<Key> key_of(std::string_view name);

// One a worker; belongs to its loop.
class RedisLevel {
 public:
  struct Found {
    std::optional<Value> value;  // nothing: it is not there
    redis::Vouch vouch = 0;      // 0: nobody
    bool keep = true;            // it was not changed while it was read
    std::string head;            // of what is there, whatever it is
  };

  RedisLevel(Loop& loop, redis::Client& client) : loop_(loop), client_(client) {}

  bool available(Time now) const { return client_.available(now); }

  Task<Result<Found>> get(Key key, std::size_t most_body, Deadline& deadline);
  // `lives`: from then on it is of no use. Who vouches for it from now on; 0: nobody, or another
  // value stands there.
  Task<Result<redis::Vouch>> put(Key key, std::string value, Duration lives, Deadline& deadline);

  // Equal looks: the first one is told to look, the others wait until it has.
  class Look {
   public:
    explicit Look(RedisLevel& level, const Key& key);
    Look(const Look&) = delete;
    Look& operator=(const Look&) = delete;
    ~Look();
    bool first() const { return first_; }
    // REQUIRES: not first. An Error if the deadline is over before.
    Task<Result<void>> wait(Deadline& deadline);

   private:
    RedisLevel& level_;
    const Key key_;
    bool first_;
    std::optional<Signal> signal_;
  };

 private:
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  Loop& loop_;
  redis::Client& client_;
  std::unordered_map<Key, std::vector<Signal>, KeyHash> looks_;
};

}  // namespace penstock::cache
