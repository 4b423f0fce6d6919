// How people used the gateway, by what the ledger and their feedback say.
//
// Exact, and as far back as rows are kept. What was answered out of the cache is summed in the
// ledger: it is among the questions and the users, and in no session.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/database.h"
#include "store/statements.h"

namespace penstock::store {

struct EngagementQuestion {
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;  // not included
  std::optional<std::string> tenant;
};

struct EngagementSums {
  std::string day;             // "2026-11-27", of UTC; empty: all of the time
  std::uint64_t users = 0;     // different keys
  std::uint64_t sessions = 0;  // different ids that clients gave
  std::uint64_t questions = 0;
  std::uint64_t in_sessions = 0;  // of the questions
  std::uint64_t abandoned = 0;    // whose client left before the answer's end
  std::uint64_t up = 0;           // what was said
  std::uint64_t down = 0;
};

// All of the time first, then each day on which there was something.
Task<Result<std::vector<EngagementSums>>> engagement(Database& database,
                                                     EngagementQuestion question,
                                                     Deadline& deadline);

Part engagement_statements();

}  // namespace penstock::store
