// A rate that several nodes share, in Redis (ADR 15).
//
//   request ─try_take─> balance held ───────────────yes─> admitted, without a word to Redis
//              │           ↑ lease
//              └─no: take ─┴── one call for all who wait ──> Redis: GCRA, partial grants
//
// Redis holds one time stamp. A node takes a lease of cost from it: at most 100 ms of its share of
// the rate, and never less than the request needs. What is not used within 100 ms goes back. What
// Redis last said to be owed is remembered: while that alone refuses a request, Redis is asked no
// more often than each 100 ms, whatever is offered.
//
// Without Redis a node enforces limit / nodes, beginning with what it knew to be owed; when Redis
// is back it is told what was admitted meanwhile.
//
// All of this is the node's: its workers share one balance. Redis is called by the loop whose
// request needs it, the others wait for the same answer; one loop of the node does the housekeeping
// (`Shared::keep`).
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/signal.h"
#include "limit/gcra.h"
#include "limit/shared_scripts.h"
#include "observe/metrics.h"
#include "redis/client.h"

namespace penstock::limit {

class SharedMeter;
class SharedPlaces;

// What the meters of one node have in common. Any thread, but for keep().
class Shared : public std::enable_shared_from_this<Shared> {
 public:
  static constexpr Duration kLease = 100ms;   // of the node's share; then what is unused goes back
  static constexpr Duration kAway = 100ms;    // the own share is used before Redis is tried again
  static constexpr Duration kPause = 5ms;     // between two questions while there is nothing to get
  static constexpr Duration kRecall = 100ms;  // a refusal is remembered: others may give back
  static constexpr Duration kTick = 20ms;     // of the housekeeping
  static constexpr Duration kBeat = 2s;       // between two words that the node is alive
  static constexpr Duration kSilence = 10s;   // after which it is not

  // `node`: a name that no other node has. `wait`: for Redis, of one request in all.
  static std::shared_ptr<Shared> make(std::string node, Duration wait = 50ms) {
    return std::shared_ptr<Shared>(new Shared(std::move(node), wait));
  }

  // Those that are seen alive, this one included. keep() counts those that share this Redis.
  void set_nodes(unsigned live) { nodes_.store(std::max(1U, live), std::memory_order_relaxed); }
  unsigned nodes() const { return nodes_.load(std::memory_order_relaxed); }
  const std::string& node() const { return node_; }
  Duration wait() const { return wait_; }
  const Scripts& scripts() const { return scripts_; }

  // What limits decided without the others: by the own share, and money that was refused because
  // nobody could say what is left. Counted as penstock_ratelimit_unshared_total.
  struct Unshared {
    std::atomic<std::uint64_t> by_share{0}, refused{0};
  };
  Unshared& unshared() { return unshared_; }
  // Null: for the reference of metrics. The registry may be read when the counts are gone.
  static void show(observe::Registry& registry, const std::weak_ptr<Shared>& of);

  // What was reserved under this name came to so much more, or less. Told within a tick.
  void owe(const std::string& spend_key, Nano difference);

  // Gives back, settles, and says that the node is alive, until the deadline is over. By one loop
  // of the node; `client` is that loop's.
  static Task<void> keep(std::shared_ptr<Shared> self, redis::Client& client, Deadline& until);

 private:
  friend class SharedMeter;
  friend class SharedPlaces;
  Shared(std::string node, Duration wait) : node_(std::move(node)), wait_(wait) {}
  void enlist(const std::shared_ptr<SharedMeter>& meter);
  void enlist(const std::shared_ptr<SharedPlaces>& places);
  static Task<void> settle(std::shared_ptr<Shared> self, std::shared_ptr<SharedMeter> meter,
                           redis::Client& client, Quota quota, std::int64_t cost, Loop& loop);

  static Task<void> settle_spend(std::shared_ptr<Shared> self, std::string key, Nano difference,
                                 redis::Client& client, Loop& loop);
  static Task<void> count_nodes(std::shared_ptr<Shared> self, redis::Client& client, Loop& loop);
  void tick(const std::shared_ptr<Shared>& self, redis::Client& client, Loop& loop, Time now);

  const std::string node_;
  const Duration wait_;
  const Scripts scripts_;
  Unshared unshared_;
  std::atomic<unsigned> nodes_{1};
  std::mutex mutex_;
  // Those that hold or owe something. They keep this; who forgets one forgets what it held, and
  // Redis forgets it with time.
  std::vector<std::weak_ptr<SharedMeter>> meters_;
  std::vector<std::weak_ptr<SharedPlaces>> places_;
  std::map<std::string, Nano> owed_;  // by the names of sums of money
};

// One owner's rate of requests or of tokens. Any thread.
class SharedMeter : public std::enable_shared_from_this<SharedMeter> {
 public:
  // REQUIRES: held by a shared_ptr.
  SharedMeter(std::shared_ptr<Shared> shared, std::string key)
      : shared_(std::move(shared)), key_(std::move(key)) {}

  // The answer, if it is known here: from the balance, from what is owed, or by the own share while
  // Redis is away. Nothing: take() has to ask.
  std::optional<Decision> try_take(const Quota& quota, Time now, std::uint64_t cost);
  // The same, asking where it must. Always decides: where Redis does not answer by the deadline, by
  // the node's own share. `client` is this loop's; null: there is none.
  static Task<Decision> take(std::shared_ptr<SharedMeter> self, redis::Client* client, Quota quota,
                             std::uint64_t cost, Deadline& deadline);

  Shared& shared() const { return *shared_; }

  // Without taking anything.
  Decision look(const Quota& quota, Time now) const {
    return told(quota, now, true, Duration::zero());
  }

  // Taken, and not needed.
  void give_back(const Quota& quota, Time now, std::uint64_t cost);
  // Used, and not taken. More than ten bursts are not remembered.
  void take_regardless(const Quota& quota, Time now, std::uint64_t cost);

 private:
  friend class Shared;
  struct Answer {
    std::int64_t granted, left, wait_us, owed_us;
  };
  struct Question {
    std::int64_t needed, wanted, late, late_all;
    std::uint64_t own;  // own_cost_ as it was
  };
  // Cost to be told to Redis: negative goes back.
  struct Rest {
    Quota quota;
    std::int64_t cost;
  };

  Quota share(const Quota& quota) const;
  bool spend(std::uint64_t cost, Time now);
  Decision told(const Quota& quota, Time now, bool admitted, Duration wait) const;
  void hold(const Quota& quota, std::int64_t cost);
  // These with the lock held.
  std::optional<Decision> decide_here(const Quota& quota, Time now, std::uint64_t cost);
  Decision by_own_share(const Quota& quota, Time now, std::uint64_t cost);
  Question question(const Quota& quota, Time now, std::uint64_t cost);
  void answered(const Quota& quota, const Question& asked, Time sent, Time now,
                const Answer& answer);
  void went_away(Time now);
  void wake();

  std::optional<Rest> rest(Time now);
  bool idle() const { return balance_.load(std::memory_order_relaxed) == 0; }

  const std::shared_ptr<Shared> shared_;
  const std::string key_;
  std::atomic<std::int64_t> balance_{0};  // granted and not used; below 0: used and not granted
  std::atomic<Time::rep> owed_until_{0};  // what Redis last said, by this node's clock
  std::atomic<Time::rep> used_{0};        // when the balance was last used
  std::atomic<bool> listed_{false};

  std::mutex mutex_;
  Quota quota_;             // of the last call
  bool asking_ = false;     // a question is under way
  Time answered_{};         // when Redis last said what is owed
  Time ask_after_{};        // there was nothing to get
  std::uint64_t left_ = 0;  // what there was to get
  std::uint64_t waiting_cost_ = 0;
  std::uint64_t waiting_least_ = 0;
  std::deque<Signal> waiting_;
  // While Redis is away.
  bool away_ = false;
  Time away_until_{};
  Time own_paid_off_{};
  std::uint64_t own_cost_ = 0;  // admitted since
};

}  // namespace penstock::limit
