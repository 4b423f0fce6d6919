// What was purged, here and on other nodes, and whether that is known.
//
//   purge ─> the log in Redis (a sorted set) ──invalidation──> every node: reads what is new,
//            └─ number: microseconds of Redis's clock           and drops it from its memory
//
// A purge has a number; an answer carries the last one that was known when it was asked for. What a
// purge means (a tag, a model, a tenant ...) and has a smaller number is gone, wherever it lies:
// memory is searched at once, what lies in Redis is judged when it is read, an answer that is under
// way when it comes. Nothing has to be found, and nothing can come too late.
//
// The log is read through a tracked connection, which tells of changes. While nobody vouches for
// what was read, nothing in memory is given without asking Redis first. Without Redis a purge is
// this node's own.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/signal.h"
#include "cache/memory.h"
#include "cache/trust.h"
#include "observe/log.h"
#include "redis/client.h"

namespace penstock::cache {

enum class PurgeOf : std::uint8_t { all, entry, tag, model, tenant, key };
std::string_view name_of(PurgeOf what);  // "tag"
std::optional<PurgeOf> purge_of(std::string_view name);

struct Purge {
  PurgeOf what = PurgeOf::all;
  std::string name;  // of the tag, the model ...; an entry's key in hexadecimal digits; empty: all
};

// What a purge looks at.
struct Subject {
  const Key& key;
  std::string_view scope;
  std::string_view model;
  const std::vector<std::string>& tags;
};

// "t:acme" and "k:acme:key_1" are the tenant acme's.
bool of_tenant(std::string_view scope, std::string_view tenant);
bool of_key(std::string_view scope, std::string_view key);

// The purges that are known. Any thread.
class PurgeBook {
 public:
  static constexpr std::size_t kMost = 10'000;

  // The last number. What is asked for from now on carries it.
  std::uint64_t known() const { return known_.load(std::memory_order_acquire); }
  void add(const Purge& purge, std::uint64_t number);
  // Answers older than this number may have been purged by what is known no more.
  void forget_before(std::uint64_t number);
  bool covers(const Subject& subject, std::uint64_t number) const;

 private:
  std::atomic<std::uint64_t> known_{0};
  mutable std::mutex mutex_;
  std::map<std::pair<PurgeOf, std::string>, std::uint64_t> numbers_;
  std::multimap<std::uint64_t, std::pair<PurgeOf, std::string>> in_order_;
  std::uint64_t floor_ = 0;
};

struct Purged {
  std::uint64_t erased = 0;  // from this node's memory
  bool told = true;          // the other nodes, or there are none to be told
  std::string reason;        // why they were not
};

// One a process, on one loop; others ask it from theirs.
class Purges {
 public:
  // All must outlive it. Without Redis `client` is null.
  // `forget`: of purges that mean whole scopes, beside what memory has.
  using Forget = std::function<void(const std::function<bool(std::string_view scope)>& meant)>;
  Purges(Loop& loop, PurgeBook& book, MemoryCache& memory, Trust& trust, observe::Log& log,
         Forget forget = {});
  Purges(const Purges&) = delete;
  Purges& operator=(const Purges&) = delete;

  // On the loop: reads the log until the deadline is over. The client must be tracked, and tell
  // `changed` of what its connections hear.
  Task<void> keep(redis::Client& client, Deadline& until);
  void changed(std::string_view key);
  static constexpr std::string_view kLog = "penstock:{purges}";

  // From any loop.
  Task<Result<Purged>> purge(Purge purge, Deadline& deadline);
  // Returns when what other nodes purged is known, or with an Error.
  Task<Result<void>> current(Deadline& deadline);

 private:
  struct Ask;
  Task<Result<void>> read(Deadline& deadline);
  Task<bool> tell_untold(Deadline& deadline);
  Task<Result<std::uint64_t>> tell(const Purge& purge, Deadline& deadline);
  Task<void> carry_out(std::shared_ptr<Ask> ask);
  struct Numbered {
    Purge purge;
    std::uint64_t number;
  };
  std::uint64_t drop(const std::vector<Numbered>& purges);
  void wake_waiting();

  Loop& loop_;
  PurgeBook& book_;
  MemoryCache& memory_;
  Trust& trust_;
  observe::Log& log_;
  const Forget forget_;
  redis::Client* client_ = nullptr;  // while it is kept
  bool polling_ = false;             // nobody tells of changes
  std::uint64_t read_ = 0;           // the log's last number that was read
  std::deque<Purge> untold_;         // while Redis was away
  Signal poke_{loop_};
  std::mutex mutex_;
  std::vector<Signal> waiting_;
};

}  // namespace penstock::cache
