// Keeps `usage` in order: partitions are there before their month begins, and what is older than
// `keep` is summed into `usage_days` and deleted, in one transaction, so that it counts once.
//
// Any number of nodes may do it at once.
#pragma once

#include <thread>

#include "store/database.h"
#include "store/statements.h"

namespace penstock::store {

// One round: the partitions of `now`'s month and the next, then what ended before now - keep.
// How many rows were summed and deleted. PostgreSQL: whole months; SQLite: in pieces of some
// thousand rows, each a transaction.
Task<Result<std::uint64_t>> tidy_usage(Database& database, std::int64_t now_us, Duration keep,
                                       Deadline& deadline);

// Does it at the start and then each hour, on a thread of its own, until it is destroyed; after a
// failure again in a minute. The database must outlive it.
class Keeper {
 public:
  Keeper(Database& database, Duration keep, observe::Log& log);
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper();

 private:
  Task<void> keep_on(Duration keep);

  Database& database_;
  observe::Log& log_;
  Loop loop_;
  std::thread thread_;
};

Part keeper_statements();

}  // namespace penstock::store
