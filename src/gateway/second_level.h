// A worker's way to the answers in Redis.
#pragma once

#include <memory>

#include "cache/redis_level.h"
#include "observe/metrics.h"
#include "redis/client.h"

namespace penstock::gateway {

struct House;

// Outlives the gateway while a write of it is under way.
struct SecondLevel {
  static std::shared_ptr<SecondLevel> make(Loop& loop, const redis::Options& options, House& house);

  // Connections of its own: a large answer must not hold up a limit's question.
  std::unique_ptr<redis::Client> client;
  std::unique_ptr<cache::RedisLevel> level;
};

// Nobody waits for it.
Task<void> put_in_redis(std::shared_ptr<SecondLevel> second, House& house, cache::EntryPtr entry,
                        std::uint64_t compress_over, observe::Histogram took,
                        observe::Counter errors, Loop& loop);

}  // namespace penstock::gateway
