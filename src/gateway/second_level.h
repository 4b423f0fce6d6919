// A worker's way to the answers in Redis.
#pragma once

#include <memory>

#include "cache/lease.h"
#include "cache/redis_level.h"
#include "observe/metrics.h"
#include "redis/client.h"
#include "settings/settings.h"

namespace penstock::gateway {

struct House;

// Outlives the gateway while a write of it is under way.
struct SecondLevel {
  static std::shared_ptr<SecondLevel> make(Loop& loop, const redis::Options& options, House& house);

  // Connections of its own: a large answer must not hold up a limit's question.
  std::shared_ptr<redis::Client> client;
  std::unique_ptr<cache::RedisLevel> level;
  std::shared_ptr<cache::Leases> leases;
};

// What was read, as an entry that memory has from now on; null: nothing, another scope's, purged,
// or of no use any more.
cache::EntryPtr entry_in_redis(House& house, cache::RedisLevel::Found found, const cache::Key& key,
                               std::string_view scope, const Served* served,
                               const settings::Cache& settings);

// Whether it lies there now. No client waits for it.
Task<bool> put_in_redis(std::shared_ptr<SecondLevel> second, House& house, cache::EntryPtr entry,
                        std::uint64_t compress_over, observe::Histogram took,
                        observe::Counter errors, Loop& loop);

}  // namespace penstock::gateway
