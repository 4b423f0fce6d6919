// Active users of all nodes, in Redis.
#pragma once

#include "engagement/active.h"
#include "redis/client.h"

namespace penstock::engagement {

class RedisShared final : public Shared {
 public:
  // On the client's loop; the client must outlive it.
  explicit RedisShared(redis::Client& client) : client_(client) {}

  Task<Result<void>> add(std::vector<Addition> additions, Deadline& deadline) override;
  Task<Result<std::uint64_t>> count(std::vector<std::string> keys, Deadline& deadline) override;

 private:
  Task<Result<void>> add_one(const Addition& addition, std::size_t from, Deadline& deadline);

  redis::Client& client_;
};

}  // namespace penstock::engagement
