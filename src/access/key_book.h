// Which key is whose: shared by all workers.
//
//   known(key) ── digest, table ──> the caller                       under a microsecond, no call
//        │ null
//        v
//   find(key) ── well-formed? refused lately? ──> the book's own loop
//                                                   │ equal ones wait for one answer
//                                                   v at most eight at a time
//                                                 the database
//
// The same loop asks twice a second which keys and tenants have changed, and replaces or drops
// their callers: that is how a revocation reaches every node within a second, whatever else is
// broken. An answer that is older than what is known already (a replica's) is never kept. While the
// database is away known keys go on as they were.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "access/callers.h"
#include "access/key.h"
#include "access/refused.h"
#include "access/tenant_book.h"
#include "base/deadline.h"
#include "base/loop.h"
#include "base/signal.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "store/database.h"

namespace penstock::access {

struct KeyBookOptions {
  std::string secret;                     // of which the pepper is made: the same on all nodes
  std::vector<Tenant> tenants;            // those of the configuration
  CacheScope scope = CacheScope::tenant;  // of whoever has none of its own
  std::size_t known = 100'000;
  std::size_t refused = 10'000;
  Duration refused_for = 5s;
  Duration poll = 500ms;
  Duration patience = 1s;   // of one who asks for an unknown key
  unsigned at_a_time = 8;   // look-ups in the database
  std::size_t line = 1024;  // who comes when so many keys wait is refused at once
};

class KeyBook {
 public:
  // The database, the registry and the log must outlive it.
  KeyBook(KeyBookOptions options, store::Database& database, observe::Registry& registry,
          observe::Log& log);
  KeyBook(const KeyBook&) = delete;
  KeyBook& operator=(const KeyBook&) = delete;
  ~KeyBook();

  // What a book counts, without one: for the reference of metrics.
  static void declare(observe::Registry& registry);

  // Starts its thread: from now on changes are asked for, and keys can be found.
  void start();

  // Any thread. Null: not known here (yet), or refused.
  CallerPtr known(std::string_view key, WallTime now) const;
  // On any loop. Asks the database where it must.
  Task<Result<CallerPtr, Refused>> find(std::string key, WallTime now, Deadline& deadline);

  // Grows with every change of any caller: whoever remembers one may go on while it is the same
  // and the caller's own time is not over.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // What is known of a tenant, or null. Complete once `ready`.
  const TenantBook& tenants() const { return tenants_; }
  // Whether the tenants of the database have been read.
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  // Those of the configuration, and whose answers are whose, from now on. Any thread.
  void configure(std::vector<Tenant> tenants, CacheScope scope);

  // Something has changed: asks at once instead of within half a second. Any thread.
  void look_now() const { poke_.wake(); }

  const Hasher& hasher() const { return hasher_; }

 private:
  // Somebody who waits for an answer, on a loop of its own.
  struct Ask {
    explicit Ask(Loop& loop) : signal(loop) {}
    Signal signal;
    std::optional<Result<CallerPtr, Refused>> answer;
  };
  using AskPtr = std::shared_ptr<Ask>;
  struct Flight {
    Time until;    // when nobody waits for it any more
    WallTime now;  // of the first who asked
    std::vector<AskPtr> waiting;
  };
  struct Counts;
  static void show(observe::Registry& registry, const std::shared_ptr<Callers>& callers,
                   const std::shared_ptr<Counts>& counts);

  // On the book's own loop.
  void ask(const Digest& digest, WallTime now, AskPtr who);
  void pump();
  Task<void> fly(Digest digest);
  Task<Result<CallerPtr, Refused>> look_up(Digest digest, WallTime now, Deadline& deadline);
  Result<CallerPtr, Refused> take_in(const Digest& digest, const store::FoundKey& found,
                                     WallTime now);
  Task<void> keep_asking();
  Task<Result<void>> catch_up(Deadline& deadline);
  Task<Result<void>> read_tenants(std::int64_t from, Deadline& deadline);
  Task<Result<void>> read_keys(std::int64_t from, Deadline& deadline);
  void apply(const store::KeyRow& row);
  void compose_again(const std::unordered_set<std::string>* names);

  const KeyBookOptions options_;
  store::Database& database_;
  observe::Log& log_;
  const Hasher hasher_;
  TenantBook tenants_;
  std::atomic<CacheScope> scope_;
  std::shared_ptr<Callers> callers_;
  std::shared_ptr<Counts> counts_;
  std::atomic<std::uint64_t> generation_{1};
  std::atomic<bool> ready_{false};

  Loop loop_;
  Signal poke_{loop_};
  std::thread thread_;
  // The loop's.
  Deadline until_{loop_, Time::max()};
  bool catching_up_ = false;
  std::int64_t seen_ = -1;  // every change up to this one is in callers_ and tenants_
  bool away_ = false;
  unsigned flying_ = 0;
  std::deque<Digest> line_;
  std::unordered_map<Digest, Flight, DigestHash, DigestEqual> flights_;
};

}  // namespace penstock::access
