// Digests of keys and tokens, and who they are: what is known at the moment, bounded, for all
// threads.
//
//   digest ──first bits──> one of 64 shards ──> [ known, latest used first ]  a caller, until its
//   end
//                                               [ refused, likewise        ]  why, for some seconds
//
// A look-up takes one short lock that other threads rarely want. Where a shard is full, what was
// used longest ago goes; whoever comes with it again costs one question.
#pragma once

#include <array>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "access/key.h"
#include "access/refused.h"
#include "exchange/caller.h"

namespace penstock::access {

// A table of so many, whose latest used are kept.
template <class Value>
class Latest {
 public:
  void set_most(std::size_t most) { most_ = most; }
  std::size_t size() const { return map_.size(); }

  // Null: it is not here.
  Value* find(const Digest& digest) {
    const auto found = map_.find(digest);
    if (found == map_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->second;
  }
  void put(const Digest& digest, Value value) {
    if (Value* const here = find(digest)) {
      *here = std::move(value);
      return;
    }
    if (most_ == 0) return;
    if (map_.size() >= most_) {
      map_.erase(order_.back().first);
      order_.pop_back();
    }
    order_.emplace_front(digest, std::move(value));
    map_.emplace(digest, order_.begin());
  }
  void drop(const Digest& digest) {
    const auto found = map_.find(digest);
    if (found == map_.end()) return;
    order_.erase(found->second);
    map_.erase(found);
  }
  template <class Each>
  void each(const Each& see) {
    for (auto& [digest, value] : order_) see(value);
  }
  void clear() {
    map_.clear();
    order_.clear();
  }

 private:
  using Order = std::list<std::pair<Digest, Value>>;
  std::size_t most_ = 0;
  Order order_;
  std::unordered_map<Digest, typename Order::iterator, DigestHash, DigestEqual> map_;
};

struct KnownCaller {
  CallerPtr caller;
  std::optional<CacheScope> own_scope;  // of a key that has one of its own
  std::uint64_t generation = 0;         // of what it was made of
};

class Callers {
 public:
  // Bounds over all shards.
  Callers(std::size_t most_known, std::size_t most_refused);

  // Whoever is known and whose time is not over, or null.
  CallerPtr known(const Digest& digest, WallTime now) const;
  // The same with the generation it was put with; other generations are not known.
  CallerPtr known(const Digest& digest, WallTime now, std::uint64_t generation) const;
  std::optional<Refused::Why> refused(const Digest& digest, Time now) const;

  void put(const Digest& digest, KnownCaller caller);
  void put(const Digest& digest, Refused::Why why, Time until);
  void drop(const Digest& digest);  // both
  void clear();
  // Replaces callers by what `change` makes of them; null: leaves it.
  void change(const std::function<CallerPtr(const KnownCaller&)>& change);

  std::size_t size() const;

 private:
  struct Denied {
    Refused::Why why;
    Time until;
  };
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    mutable Latest<KnownCaller> known;
    mutable Latest<Denied> refused;
  };
  static constexpr std::size_t kShards = 64;

  // Of other bits than the shard's own table uses.
  const Shard& shard(const Digest& digest) const { return shards_[digest[31] % kShards]; }
  Shard& shard(const Digest& digest) { return shards_[digest[31] % kShards]; }

  std::array<Shard, kShards> shards_;
};

}  // namespace penstock::access
