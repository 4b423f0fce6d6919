// The first cache level: answers in this process's memory, shared by all workers.
//
//   bytes of a request --hash--> Alias ---+        an alias saves reading the request at all:
//                                         v        its bytes are compared with those kept
//   Key (meaning) ------------> Item -> Entry      ready to be sent
//
// Two doors: by the key that a question's meaning gives, and by the very bytes of a request that
// was answered before. Most repeats are byte for byte the same, and comparing 400 bytes costs a
// tenth of parsing and digesting them. The hash is seeded per process and only a hint: a forged
// collision costs a comparison, never a wrong answer (ADR 7).
//
// Eviction is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023)
// or LRU. Sharded; a shard's mutex is held for a look-up and a count.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "cache/entry.h"
#include "cache/trust.h"
#include "observe/metrics.h"
#include "settings/settings.h"

namespace penstock::cache {

struct MemoryOptions {
  std::uint64_t size = 256 * 1024 * 1024;  // bytes, everything counted
  settings::CachePolicy policy = settings::CachePolicy::s3fifo;
  std::uint64_t max_entry = 4 * 1024 * 1024;
  std::uint64_t seed = 0;        // of the hash over bytes; 0: random
  const Trust* trust = nullptr;  // null: there are no other nodes
};

struct MemoryStats {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t capacity = 0;
  std::uint64_t evictions = 0;
};

// What is known of a question's very bytes beside their answer.
struct BytesTag {
  std::uint64_t epoch = 0;  // of the settings under which they meant this
  std::uint64_t user = 0;   // whom they say they are of, hashed; 0: they do not say
  std::uint64_t text = 0;   // what they ask, hashed
  std::uint32_t pair = 0;   // which engine and model are asked: an index that the epoch fixes
  float complexity = -1;    // of the question, 0 to 1; negative: it has none
  friend bool operator==(const BytesTag&, const BytesTag&) = default;
};

struct BytesHit {
  EntryPtr entry;
  Form form = Form::plain;
  BytesTag tag;
};

class MemoryCache {
 public:
  static constexpr std::size_t kAliasBody = 64 * 1024;  // longer requests are read each time
  static constexpr std::size_t kAliases = 2;            // of one entry

  explicit MemoryCache(const MemoryOptions& options);
  MemoryCache(const MemoryCache&) = delete;
  MemoryCache& operator=(const MemoryCache&) = delete;
  ~MemoryCache();

  // Null: nothing there that is of use, or another scope's. It may be past its time, and nobody
  // may vouch for it any more.
  EntryPtr find(const Key& key, std::string_view scope, Time now);
  // Keeps the entry under its key, in place of what was there. False: larger than max_entry; or
  // there is no room, and `nothing` is to make way for it.
  enum class Displaces : std::uint8_t { others, nothing };
  bool store(EntryPtr entry, Displaces displaces = Displaces::others);
  // The same with another form in it, if `old` is still there; who vouches for it stays.
  void replace(const EntryPtr& old, EntryPtr entry);
  void erase(const Key& key);
  void clear();
  // The entries, a shard at a time, until `use` has enough.
  void each(const std::function<bool(const Entry&)>& use) const;
  // How many there were. Looks at all of them, a shard at a time.
  std::uint64_t erase_if(const std::function<bool(const Entry&)>& unwanted);
  // The answer of that time is in Redis now, if it is still here.
  void vouch(const Key& key, Time stored, redis::Vouch by);
  // Whoever vouched for the entry says that it has changed. Another's word is about something
  // older.
  // False: nothing was erased.
  bool erase_vouched(const Key& key, redis::Vouch by);
  // All that it may take from now on, at most what it was made with; what is too much goes now.
  void set_room(std::uint64_t bytes);

  // The answer to these very bytes, asked of this route in this scope, if `remember_bytes` was
  // told and the entry is still kept, trusted, and of an age of which nothing is to be thought.
  // The tag is given back as it was told.
  // `trusting`: also where nobody vouches for it, since Redis is away.
  std::optional<BytesHit> find_bytes(std::string_view scope, std::uint32_t route,
                                     std::string_view body, Time now, bool trusting = false);
  // Nothing happens if the entry is no longer kept or the body is too long.
  void remember_bytes(std::string_view scope, std::uint32_t route, std::string_view body,
                      const EntryPtr& entry, Form form, const BytesTag& tag);

  MemoryStats stats() const;

 private:
  struct Alias;
  struct DestroyAlias;
  struct Item;
  struct Shard;
  struct AliasShard;

  Shard& shard_of(const Key& key) const;
  bool put(Shard& shard, EntryPtr entry);
  AliasShard& alias_shard_of(std::uint64_t hash) const;
  std::uint64_t hash_of(std::string_view scope, std::uint32_t route, std::string_view body) const;
  std::uint64_t drop_aliases(const std::vector<std::uint64_t>& hashes);

  const MemoryOptions options_;
  std::uint64_t seed_;
  std::size_t shard_count_;
  std::unique_ptr<Shard[]> shards_;
  std::unique_ptr<AliasShard[]> alias_shards_;
};

}  // namespace penstock::cache
