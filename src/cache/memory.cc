#include "cache/memory.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "base/adaptive_mutex.h"
#include "base/uuid.h"
#include "cache/ghosts.h"
#include "cache/table.h"

namespace penstock::cache {
namespace {

constexpr std::size_t kMostShards = 16;
// Many: a lock that another worker holds, or held last, costs more than a look-up.
constexpr std::size_t kAliasShards = 256;
constexpr std::uint64_t kSmallShare = 10;  // percent of a shard for what is new
constexpr std::uint64_t kListBytes = 32;   // an item's list of its aliases
constexpr std::uint64_t kSlotBytes = 48;   // an alias's place in its table, which is half empty

std::uint64_t hash_of_key(const Key& key) {
  // A digest is as good as random already.
  std::uint64_t hash;
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

}  // namespace

// The bytes of a request stand right behind what is known of them: one place in memory to fetch
// where a heap of small pieces would be three.
struct MemoryCache::Alias {
  std::uint64_t hash;
  std::uint32_t route;
  BytesTag tag;
  Form form;
  std::uint32_t scope_size;
  std::uint32_t body_size;
  EntryPtr entry;

  static Alias* make(std::uint64_t hash, std::uint32_t route, const BytesTag& tag, Form form,
                     std::string_view scope, std::string_view body, EntryPtr entry) {
    void* const place = ::operator new(sizeof(Alias) + scope.size() + body.size());
    auto* const alias = new (place) Alias{hash,
                                          route,
                                          tag,
                                          form,
                                          static_cast<std::uint32_t>(scope.size()),
                                          static_cast<std::uint32_t>(body.size()),
                                          std::move(entry)};
    char* const text = reinterpret_cast<char*>(alias + 1);
    if (!scope.empty()) std::memcpy(text, scope.data(), scope.size());
    if (!body.empty()) std::memcpy(text + scope.size(), body.data(), body.size());
    return alias;
  }
  static void destroy(Alias* alias) {
    alias->~Alias();
    ::operator delete(alias);
  }

  std::string_view scope() const { return {reinterpret_cast<const char*>(this + 1), scope_size}; }
  std::string_view body() const {
    return {reinterpret_cast<const char*>(this + 1) + scope_size, body_size};
  }
  std::uint64_t bytes() const {
    return block_of(sizeof *this + scope_size + body_size) + kListBytes + kSlotBytes;
  }
};
struct MemoryCache::DestroyAlias {
  void operator()(Alias* alias) const { Alias::destroy(alias); }
};

// An entry's place in a shard: in one of its queues, oldest at the end.
struct MemoryCache::Item {
  enum class Queue : std::uint8_t { small, main };

  EntryPtr entry;
  std::vector<std::uint64_t> aliases;  // their hashes
  std::uint64_t bytes = 0;             // charged, aliases included
  Queue queue = Queue::small;
  Item* newer = nullptr;
  Item* older = nullptr;
};

struct alignas(64) MemoryCache::Shard {
  // A queue in order of arrival, doubly linked.
  struct Line {
    Item* newest = nullptr;
    Item* oldest = nullptr;
    std::uint64_t bytes = 0;

    void push(Item* item) {
      item->newer = nullptr;
      item->older = newest;
      (newest != nullptr ? newest->newer : oldest) = item;
      newest = item;
      bytes += item->bytes;
    }
    void remove(Item* item) {
      (item->newer != nullptr ? item->newer->older : newest) = item->older;
      (item->older != nullptr ? item->older->newer : oldest) = item->newer;
      bytes -= item->bytes;
    }
  };

  mutable AdaptiveMutex mutex;
  PointerTable<Item> table;
  Line small;
  Line main;
  Ghosts ghosts;  // of what left `small`
  std::uint64_t capacity = 0;
  std::uint64_t evictions = 0;

  Line& line(const Item& item) { return item.queue == Item::Queue::small ? small : main; }
  std::uint64_t bytes() const { return small.bytes + main.bytes + table.bytes() + ghosts.bytes(); }

  Item* find(const Key& key) const {
    return table.find(hash_of_key(key), [&](const Item& item) { return item.entry->key == key; });
  }

  void remove(Item* item, std::vector<std::uint64_t>& aliases) {
    aliases.insert(aliases.end(), item->aliases.begin(), item->aliases.end());
    line(*item).remove(item);
    table.erase(hash_of_key(item->entry->key), item);
    delete item;
  }

  // Makes room until the shard is within its capacity.
  void evict(settings::CachePolicy policy, std::vector<std::uint64_t>& aliases) {
    while (bytes() > capacity && table.size() > 0) {
      if (policy == settings::CachePolicy::lru) {
        ++evictions;
        remove(main.oldest, aliases);
        continue;
      }
      const bool from_small =
          small.oldest != nullptr &&
          (small.bytes * 100 >= capacity * kSmallShare || main.oldest == nullptr);
      if (from_small) {
        Item* const item = small.oldest;
        if (item->entry->heat.get() > 1) {  // read again while it was new
          small.remove(item);
          item->queue = Item::Queue::main;
          main.push(item);
        } else {
          ghosts.add(hash_of_key(item->entry->key), std::max<std::size_t>(64, table.size()));
          ++evictions;
          remove(item, aliases);
        }
      } else {
        Item* const item = main.oldest;
        if (item->entry->heat.get() > 0) {  // read since it was looked at: another round
          item->entry->heat.cool();
          main.remove(item);
          main.push(item);
        } else {
          ++evictions;
          remove(item, aliases);
        }
      }
    }
  }
};

// A line of the processor's cache to itself: workers write each one's mutex all the time.
struct alignas(64) MemoryCache::AliasShard {
  AdaptiveMutex mutex;
  PointerTable<Alias> table;
};

MemoryCache::MemoryCache(const MemoryOptions& options)
    : options_(options),
      seed_(options.seed != 0 ? options.seed : Random().next()),
      // A shard must have room for several of the largest entries.
      shard_count_(std::clamp<std::size_t>(
          options.size / std::max<std::uint64_t>(1, 4 * options.max_entry), 1, kMostShards)),
      shards_(std::make_unique<Shard[]>(shard_count_)),
      alias_shards_(std::make_unique<AliasShard[]>(kAliasShards)) {
  for (std::size_t i = 0; i < shard_count_; ++i) shards_[i].capacity = options.size / shard_count_;
}

MemoryCache::~MemoryCache() { clear(); }

MemoryCache::Shard& MemoryCache::shard_of(const Key& key) const {
  // Other bits than those that choose the slot.
  return shards_[key[15] % shard_count_];
}

MemoryCache::AliasShard& MemoryCache::alias_shard_of(std::uint64_t hash) const {
  return alias_shards_[(hash >> 56) % kAliasShards];
}

std::uint64_t MemoryCache::hash_of(std::string_view scope, std::uint32_t route,
                                   std::string_view body) const {
  std::uint64_t seed = seed_ + route;
  if (!scope.empty()) seed = XXH3_64bits_withSeed(scope.data(), scope.size(), seed);
  return XXH3_64bits_withSeed(body.data(), body.size(), seed);
}

EntryPtr MemoryCache::find(const Key& key, std::string_view scope, Time now) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  Item* const item = shard.find(key);
  if (item == nullptr || item->entry->kept <= now || item->entry->scope != scope) return nullptr;
  item->entry->heat.hit();
  if (options_.policy == settings::CachePolicy::lru) {
    shard.main.remove(item);
    shard.main.push(item);
  }
  return item->entry;
}

bool MemoryCache::store(EntryPtr entry, Displaces displaces) {
  Shard& shard = shard_of(entry->key);
  const std::lock_guard lock(shard.mutex);
  if (displaces == Displaces::nothing && shard.find(entry->key) == nullptr &&
      shard.bytes() + entry->bytes() + block_of(sizeof(Item)) > shard.capacity) {
    return false;
  }
  return put(shard, std::move(entry));
}

// What was purged or changed meanwhile must not come back in another form.
void MemoryCache::replace(const EntryPtr& old, EntryPtr entry) {
  Shard& shard = shard_of(entry->key);
  const std::lock_guard lock(shard.mutex);
  const Item* const item = shard.find(entry->key);
  if (item == nullptr || item->entry != old) return;
  entry->vouched.set(old->vouched.by());
  put(shard, std::move(entry));
}

// REQUIRES: the shard is locked.
bool MemoryCache::put(Shard& shard, EntryPtr entry) {
  const std::uint64_t bytes = entry->bytes() + block_of(sizeof(Item));
  if (entry->bytes() > options_.max_entry + 4096 || bytes > shard.capacity / 2) return false;
  std::vector<std::uint64_t> aliases;
  Item* const item = shard.find(entry->key);
  const bool lru = options_.policy == settings::CachePolicy::lru;
  Item::Queue queue = lru ? Item::Queue::main : Item::Queue::small;
  if (item != nullptr) {
    queue = item->queue;  // a new form or a fresher answer keeps its place
    shard.remove(item, aliases);
  } else if (!lru && shard.ghosts.take(hash_of_key(entry->key))) {
    queue = Item::Queue::main;
  }
  auto made = std::make_unique<Item>();
  made->bytes = bytes;
  made->queue = queue;
  made->entry = std::move(entry);
  Item* const placed = made.release();  // owned by the shard now
  shard.table.insert(hash_of_key(placed->entry->key), placed);
  shard.line(*placed).push(placed);
  shard.evict(options_.policy, aliases);
  drop_aliases(aliases);
  return true;
}

void MemoryCache::erase(const Key& key) {
  Shard& shard = shard_of(key);
  std::vector<std::uint64_t> aliases;
  {
    const std::lock_guard lock(shard.mutex);
    if (Item* const item = shard.find(key)) shard.remove(item, aliases);
    drop_aliases(aliases);
  }
}

void MemoryCache::clear() {
  for (std::size_t i = 0; i < shard_count_; ++i) {
    std::vector<std::uint64_t> aliases;
    {
      Shard& shard = shards_[i];
      const std::lock_guard lock(shard.mutex);
      while (shard.small.oldest != nullptr) shard.remove(shard.small.oldest, aliases);
      while (shard.main.oldest != nullptr) shard.remove(shard.main.oldest, aliases);
      shard.ghosts = {};
      drop_aliases(aliases);
    }
  }
}

void MemoryCache::each(const std::function<bool(const Entry&)>& use) const {
  for (std::size_t i = 0; i < shard_count_; ++i) {
    const Shard& shard = shards_[i];
    const std::lock_guard lock(shard.mutex);
    for (const Shard::Line* line : {&shard.main, &shard.small}) {
      for (const Item* item = line->newest; item != nullptr; item = item->older) {
        if (!use(*item->entry)) return;
      }
    }
  }
}

std::uint64_t MemoryCache::erase_if(const std::function<bool(const Entry&)>& unwanted) {
  std::uint64_t erased = 0;
  for (std::size_t i = 0; i < shard_count_; ++i) {
    std::vector<std::uint64_t> aliases;
    Shard& shard = shards_[i];
    const std::lock_guard lock(shard.mutex);
    for (Shard::Line* line : {&shard.small, &shard.main}) {
      for (Item* item = line->oldest; item != nullptr;) {
        Item* const next = item->newer;
        if (unwanted(*item->entry)) {
          shard.remove(item, aliases);
          ++erased;
        }
        item = next;
      }
    }
    drop_aliases(aliases);
  }
  return erased;
}

void MemoryCache::vouch(const Key& key, Time stored, redis::Vouch by) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const Item* const item = shard.find(key);
  if (item != nullptr && item->entry->stored == stored) item->entry->vouched.set(by);
}

bool MemoryCache::erase_vouched(const Key& key, redis::Vouch by) {
  Shard& shard = shard_of(key);
  std::vector<std::uint64_t> aliases;
  const std::lock_guard lock(shard.mutex);
  Item* const item = shard.find(key);
  if (item == nullptr || item->entry->vouched.by() != by) return false;
  shard.remove(item, aliases);
  drop_aliases(aliases);
  return true;
}

void MemoryCache::set_room(std::uint64_t bytes) {
  const std::uint64_t capacity = std::min(bytes, options_.size) / shard_count_;
  for (std::size_t i = 0; i < shard_count_; ++i) {
    std::vector<std::uint64_t> aliases;
    Shard& shard = shards_[i];
    const std::lock_guard lock(shard.mutex);
    shard.capacity = capacity;
    shard.evict(options_.policy, aliases);
    drop_aliases(aliases);
  }
}

// REQUIRES: the shard of the items that they belong to is locked. An alias shard is only ever
// locked inside it, so that an alias never outlives its item.
std::uint64_t MemoryCache::drop_aliases(const std::vector<std::uint64_t>& hashes) {
  std::uint64_t freed = 0;
  for (const std::uint64_t hash : hashes) {
    AliasShard& shard = alias_shard_of(hash);
    const std::lock_guard lock(shard.mutex);
    if (Alias* const alias = shard.table.find(hash, [](const Alias&) { return true; })) {
      freed += alias->bytes();
      shard.table.erase(hash, alias);
      Alias::destroy(alias);
    }
  }
  return freed;
}

std::optional<BytesHit> MemoryCache::find_bytes(std::string_view scope, std::uint32_t route,
                                                std::string_view body, Time now, bool trusting) {
  if (body.size() > kAliasBody) return std::nullopt;
  const std::uint64_t hash = hash_of(scope, route, body);
  BytesHit hit;
  {
    AliasShard& shard = alias_shard_of(hash);
    const std::lock_guard lock(shard.mutex);
    const Alias* const alias = shard.table.find(hash, [&](const Alias& known) {
      __builtin_prefetch(known.entry.get());  // while the body is compared
      return known.route == route && known.body() == body && known.scope() == scope;
    });
    if (alias == nullptr || alias->entry->early <= now) return std::nullopt;
    if (!trusting && options_.trust != nullptr && !options_.trust->in(*alias->entry)) {
      return std::nullopt;
    }
    hit = {alias->entry, alias->form, alias->tag};
  }
  hit.entry->heat.hit();
  // LRU keeps an order, and pays for it.
  if (options_.policy == settings::CachePolicy::lru) (void)find(hit.entry->key, scope, now);
  return hit;
}

void MemoryCache::remember_bytes(std::string_view scope, std::uint32_t route, std::string_view body,
                                 const EntryPtr& entry, Form form, const BytesTag& tag) {
  if (body.size() > kAliasBody) return;
  const std::uint64_t hash = hash_of(scope, route, body);
  std::unique_ptr<Alias, DestroyAlias> made(
      Alias::make(hash, route, tag, form, scope, body, entry));
  Shard& shard = shard_of(entry->key);
  const std::lock_guard lock(shard.mutex);
  Item* const item = shard.find(entry->key);
  if (item == nullptr || item->entry != entry) return;

  // The same bytes under an older tag, another entry's with this hash, or the oldest one.
  std::vector<std::uint64_t> dropped = {hash};
  if (std::erase(item->aliases, hash) == 0 && item->aliases.size() >= kAliases) {
    dropped.push_back(item->aliases.front());
    item->aliases.erase(item->aliases.begin());
  }
  const std::uint64_t freed = drop_aliases(dropped);
  Shard::Line& line = shard.line(*item);
  const std::uint64_t before = item->bytes;
  item->bytes = std::max(item->bytes, freed + entry->bytes()) - freed + made->bytes();
  line.bytes += item->bytes - before;
  item->aliases.push_back(hash);
  {
    AliasShard& aliases = alias_shard_of(hash);
    const std::lock_guard alias_lock(aliases.mutex);
    aliases.table.insert(hash, made.release());
  }
  dropped.clear();
  shard.evict(options_.policy, dropped);
  drop_aliases(dropped);
}

MemoryStats MemoryCache::stats() const {
  MemoryStats stats;
  stats.capacity = options_.size;
  for (std::size_t i = 0; i < shard_count_; ++i) {
    const std::lock_guard lock(shards_[i].mutex);
    stats.entries += shards_[i].table.size();
    stats.bytes += shards_[i].bytes();
    stats.evictions += shards_[i].evictions;
  }
  return stats;
}

}  // namespace penstock::cache
